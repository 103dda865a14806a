from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeseg.cli.app import run
from edgeseg.training.checkpoint import BEST, load_deployable, read_checkpoint
from edgeseg_export.onnx_file import export_onnx


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(load_deployable(tiny_run)[0], path)
    return path


def test_a_run_scores_what_its_training_said(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", str(tiny_run), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.pop("model") == str(tiny_run)
    assert answer.pop("pictures") == 18
    assert answer == read_checkpoint(tiny_run / BEST).metrics


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_exported_file_scores_like_its_run(
    tiny_run: Path, exported: Path, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    data = read_checkpoint(tiny_run / BEST).config["data"]
    assert run(["eval", str(exported), "--data", data, "--engine", engine, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    metrics = read_checkpoint(tiny_run / BEST).metrics
    assert np.sum(answer["confusion"]) == np.sum(metrics["confusion"])
    assert answer["mean_iou"] == pytest.approx(metrics["mean_iou"], abs=1e-3)


def test_another_set_and_split(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", str(tiny_run), "--data", "procedural:48x80,n=20", "--split", "test", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["pictures"] == 5
    assert np.sum(answer["confusion"]) == 5 * 48 * 80


@pytest.fixture
def folder(tiny_run: Path, tmp_path: Path) -> Path:
    """The run's val pictures as a folder of pictures and masks."""
    data = read_checkpoint(tiny_run / BEST).config["data"]
    assert run(["data", "convert", "--data", data, "--split", "val", "--out", str(tmp_path / "set")]) == 0
    return tmp_path / "set"


def test_the_format_can_be_forced(
    tiny_run: Path, exported: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in (tiny_run, exported):
        assert run(["eval", str(model), "--data", str(folder), "--format", "folder", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pictures"] == 18
        assert run(["eval", str(model), "--data", str(folder), "--format", "voc"]) == 2
        assert "fits no known layout; looked for:\n  Pascal VOC" in capsys.readouterr().err
    assert run(["eval", str(tiny_run), "--format", "folder"]) == 2  # of the run's own pictures too
    assert "procedural" in capsys.readouterr().err


def test_bad_pictures_can_be_skipped(
    tiny_run: Path, exported: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next((folder / "images" / "val").iterdir()).write_bytes(b"no picture")
    for model in (tiny_run, exported):
        assert run(["eval", str(model), "--data", str(folder), "--json"]) == 2
        assert "1 bad file" in capsys.readouterr().err
        assert run(["eval", str(model), "--data", str(folder), "--skip-bad", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pictures"] == 17


def test_views_are_told_with_the_scores(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", str(tiny_run), "--scales", "1", "1.5", "--flip", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["scales"], answer["flip"]) == ([1.0, 1.5], True)
    assert answer["mean_iou"] != read_checkpoint(tiny_run / BEST).metrics["mean_iou"]


def test_the_table_shows_every_class(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", str(tiny_run)]) == 0
    shown = capsys.readouterr().out
    checkpoint = read_checkpoint(tiny_run / BEST)
    assert all(name in shown for name in checkpoint.contract.names)
    assert f"pixel accuracy {100 * checkpoint.metrics['pixel_accuracy']:.2f} %" in shown


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["{tmp}/gone"], "there is no checkpoint at"),
        (["{tmp}"], "holds no .onnx or .xml model"),
        (["{model}"], "does not say what it was trained on; name labelled pictures with --data"),
        (["{model}", "--data", "procedural", "--engine", "tensorrt"], "tensorrt"),
        (["{run}", "--split", "nope"], "has no split 'nope'"),
        (["{model}", "--data", "procedural", "--flip"], "--scales and --flip are for runs"),
        (["{run}", "--scales", "0.1"], "the network needs"),
        (["{run}", "--scales", "0"], "scales must be above 0, got 0.0"),
        ([], "MODEL"),
    ],
)
def test_mistakes_are_one_line(
    tiny_run: Path,
    exported: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    complaint: str,
) -> None:
    assert run(["eval", *(text.format(tmp=tmp_path, model=exported, run=tiny_run) for text in given)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "--help"]) == 0
    assert "edgeseg eval runs/camvid" in capsys.readouterr().out
