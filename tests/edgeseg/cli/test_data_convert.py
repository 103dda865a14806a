from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeseg.cli.app import run
from edgeseg.data.open import open_data, splits

DATA = "procedural:32x48,n=4"


def test_a_set_becomes_a_folder_that_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "convert", "--data", DATA, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().err
    assert "calibration is left out; a folder's splits are train, val, test" in shown
    assert "out: train 4, val 1, test 1" in shown
    assert splits(str(tmp_path / "out")) == ("train", "val", "test")
    assert len(open_data(str(tmp_path / "out"), "train")) == 4


def test_one_split_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "convert", "--data", DATA, "--split", "val", "--out", str(tmp_path / "v"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == {"val": 1}
    assert splits(str(tmp_path / "v")) == ("val",)
    assert run(["data", "convert", "--data", DATA, "--split", "calibration", "--out", str(tmp_path / "c")]) == 0
    assert splits(str(tmp_path / "c")) == ("all",)
    assert "calibration becomes a folder without splits" in capsys.readouterr().err


def test_mistakes_exit_with_2_and_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").mkdir()
    for flags, says in (
        (["--out", str(tmp_path / "there")], "there is there already; name a new folder, or remove it"),
        (["--out", str(tmp_path / "x"), "--workers", "0"], "--workers must be 1 or more"),
        (["--out", str(tmp_path / "x"), "--split", "tset"], "has no split 'tset'"),
        (["--out", str(tmp_path / "x"), "--to", "voc"], "--help shows what is allowed"),
    ):
        assert run(["data", "convert", "--data", DATA, *flags]) == 2
        assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "convert", "--data", DATA, "--out", str(tmp_path / "in")]) == 0
    (tmp_path / "in/masks/train/train_00002.png").write_bytes(b"")
    again = ["data", "convert", "--data", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert run(again) == 2
    assert "train_00002.png: the file is empty" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run([*again, "--skip-bad"]) == 0
    assert "out: train 3, val 1, test 1; 1 bad file left out" in capsys.readouterr().err
