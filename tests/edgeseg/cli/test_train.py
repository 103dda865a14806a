from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeseg.cli.app import run
from edgeseg.training.runlog import read_metrics

SMALL = ["--data", "procedural:64x64,n=8", "--size", "64", "64", "--epochs", "1", "--batch", "4", "--workers", "0"]
SMALL += ["--device", "cpu", "--precision", "float32"]


def test_the_answer_is_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL, "--out", str(tmp_path / "run"), "--json"]) == 0
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    (row,) = read_metrics(tmp_path / "run" / "metrics.csv")
    assert answer.keys() == {"out", "best_epoch", "best_mean_iou", "epochs", "seconds"}
    assert (answer["out"], answer["epochs"], answer["best_epoch"]) == (str(tmp_path / "run"), 1, 1)
    assert answer["best_mean_iou"] == row["mean_iou"]
    assert "8 train and 2 val pictures" in shown.err
    assert f"epoch 1/1  loss {row['loss']:.4f}" in shown.err


def test_without_json_nothing_is_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL, "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{tmp_path / 'run'}: val mIoU" in shown.err


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--out", "{tmp}/run"], "--data must be given"),
        (["--data", "procedural"], "--out must be given"),
        (["--data", "{tmp}/nowhere", "--out", "{tmp}/run"], "nowhere"),
        (["--data", "procedural:8x8", "--out", "{tmp}/run"], "height and width must be 32 to 4096"),
        (["--config", "{tmp}/none.yaml"], "there is no file"),
        (
            [*SMALL, "--out", "{tmp}/run", "--loss", "dice", "--class-weights", "log"],
            "--class-weights log does nothing",
        ),
        ([*SMALL, "--out", "{tmp}/run", "--rotate", "5", "--warp", "0"], "--rotate 5 does nothing with --warp 0"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], complaint: str
) -> None:
    assert run(["train", *(text.format(tmp=tmp_path) for text in given)]) == 2
    error = capsys.readouterr().err
    assert complaint.format(tmp=tmp_path) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["train", *SMALL, "--out", str(tmp_path / "file" / "run")]) == 2
    assert "cannot make the folder" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "edgeseg train --config runs/camvid/config.yaml --resume" in shown
    assert "--no-" not in shown
