from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeseg.cli.app import run
from edgeseg.data.convert import write_folder
from edgeseg.data.indexed_png import indexed_png
from edgeseg.data.items import open_collection


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """24 pictures in train, 6 in val."""
    collection = open_collection("procedural:48x64,n=24,seed=3", splits=("train", "val"))
    write_folder(collection, [item.split for item in collection.items], tmp_path / "set")
    return tmp_path / "set"


def spoil(data: Path) -> Path:
    path = next(iter(sorted((data / "masks/train").iterdir())))
    path.write_bytes(indexed_png(np.full((48, 64), 77, np.uint8), [(0, 0, 0)]))
    return path


def test_a_sound_set(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", "--data", str(data)]) == 0
    shown = capsys.readouterr()
    assert "0 errors, 0 warnings" in shown.out
    assert "train 24, val 6" in shown.out
    assert "30 pictures in" in shown.err


def test_an_error_is_told_with_its_file_and_exits_with_1(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = spoil(data)
    assert run(["data", "check", "--data", str(data)]) == 1
    out = capsys.readouterr().out
    assert "error: mask-values" in out
    assert f"  masks/train/{path.name}: 1 mask; unknown: 77 (3072 px)" in out
    assert "1 error, 0 warnings" in out
    assert "train 24 (1 bad), val 6" in out


def test_a_warning_exits_with_0(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (data / "classes.csv").open("a") as table:
        table.write("tram,10,1,2,3,0\n")
    assert run(["data", "check", "--data", str(data)]) == 0
    assert "warning: class-absent" in capsys.readouterr().out


def test_json_holds_everything(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = spoil(data)
    assert run(["data", "check", "--data", str(data), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["splits"]["train"]["pictures"] == 24
    assert answer["splits"]["train"]["usable"] == 23
    assert (answer["errors"], answer["warnings"]) == (1, 0)
    (finding,) = [each for each in answer["findings"] if each["severity"] == "error"]
    assert finding["check"] == "mask-values"
    assert finding["split"] == "train"
    assert finding["files"] == [str(path)]
    assert finding["mend"]
    assert {row["name"] for row in answer["balance"]} == set(answer["classes"])


def test_the_page(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(data)
    assert run(["data", "check", "--data", str(data), "--out", str(tmp_path / "new/p.html")]) == 1
    assert "mask-values" in (tmp_path / "new/p.html").read_text("utf-8")
    assert "p.html: the same with examples" in capsys.readouterr().err


def test_no_page_unless_it_is_asked_for(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(["data", "check", "--data", str(data)]) == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--out", "page.pdf"], "--out must end in .html, got page.pdf"),
        (["--workers", "0"], "--workers must be 1 or more, got 0"),
        (["--split", "tset"], "has no split 'tset'; it has train, val"),
        (["--format", "nope"], "unknown data format 'nope'"),
    ],
)
def test_mistakes_exit_with_2(flags: list[str], says: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", "--data", str(data), *flags]) == 2
    assert says in capsys.readouterr().err


def test_a_long_list_is_cut(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (data / "images/train").iterdir():
        path.write_bytes(b"no picture")
    assert run(["data", "check", "--data", str(data)]) == 1
    assert "… and 19 more (--json names all)" in capsys.readouterr().out
