from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgeseg.cli.app import run
from edgeseg_runtime.segmenter import Segmenter

OPEN = ["--min-agreement", "0", "--min-worst-agreement", "0", "--min-edge-agreement", "0"]
OPEN += ["--max-miou-drop", "100", "--max-class-drop", "100", "--max-boundary-drop", "100"]
"""A net of three epochs has too many near-ties for int8; what is tried here is the verb."""


@pytest.fixture(scope="module")
def written(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole export with int8."""
    out = tmp_path_factory.mktemp("export") / "out"
    assert run(["export", str(tiny_run), "--int8", "--calibration-count", "64", "--out", str(out), *OPEN]) == 0
    return out


def test_every_file_is_there_and_runs(written: Path) -> None:
    for name in ("onnx-float32", "openvino-float32", "onnx-int8", "openvino-int8"):
        segmenter = Segmenter.load(written / name)
        assert segmenter.precision == name.split("-")[1]
        assert segmenter.contract.size == (64, 64)
    assert not (written / "rejected").exists()


def test_the_manifest_names_checkpoint_and_calibration(written: Path) -> None:
    manifest = json.loads((written / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["facts"]["checkpoint"] == "best.safetensors"
    assert manifest["facts"]["model"] == "fast_scnn"
    assert len(manifest["facts"]["checkpoint sha256"]) == 64
    assert manifest["calibration"]["source"] == "the training pictures (procedural:64x64,n=72)"
    assert len(set(manifest["calibration"]["pictures"])) == 64


def test_the_float_files_pass_the_gate_as_it_stands(written: Path) -> None:
    parity = json.loads((written / "parity.json").read_text(encoding="utf-8"))
    for name in ("onnx-float32", "openvino-float32"):
        assert parity[name]["agreement"]["mean"] >= 0.9999


@pytest.mark.slow
def test_a_refused_file_is_exit_code_1_and_lies_aside(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    strict = [*OPEN, "--min-agreement", "1", "--int8", "--calibration-count", "64", "--json"]
    del strict[:2]
    assert run(["export", str(tiny_run), "--out", str(out), *strict]) == 1
    error = capsys.readouterr().err
    assert "files do not draw the original's masks" in error
    assert "allowed is at least 1" in error
    parity = json.loads((out / "parity.json").read_text(encoding="utf-8"))
    failed = {name for name, entry in parity.items() if not entry["verdict"]["passed"]}
    assert "onnx-int8" in failed
    assert {path.name for path in (out / "rejected").iterdir()} == failed
    assert not any((out / name).exists() for name in failed)


def test_the_answer_is_json_and_the_default_folder_is_in_the_run(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    given = ["--output", "mask", "--size", "64", "96", "--data", "procedural:48x64,n=16", "--json", *OPEN]
    assert run(["export", str(tmp_path / "run"), *given]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["out"] == str(tmp_path / "run" / "export")
    assert answer["parity"]["onnx-float32"]["pictures"] == 4
    contract = Segmenter.load(tmp_path / "run" / "export" / "onnx-float32").contract
    assert (contract.size, contract.output) == ((64, 96), "mask")


@pytest.mark.slow
def test_layers_go_back_to_float_until_the_drop_is_allowed(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    given = ["--int8", "--calibration-count", "64", "--max-drop", "0.02", "--data", "procedural:48x64,n=16", *OPEN]
    out = tmp_path / "exports" / "new"
    assert run(["export", str(tmp_path / "run"), "--out", str(out), *given]) == 0
    assert [path.name for path in out.parent.iterdir()] == ["new"], "what is kept for another time lies in the run"
    said = capsys.readouterr().err
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    parity = json.loads((out / "parity.json").read_text(encoding="utf-8"))
    for artifact in (item for item in manifest["artifacts"] if item["precision"] == "int8"):
        mixed = artifact["mixed"]
        assert mixed["drop"] <= 0.02
        # the gate measured the same file, read back from its place
        assert parity[artifact["name"]]["against_truth"]["mean_iou"]["drop_points"] == pytest.approx(mixed["drop"])
        assert (len(mixed["float_layers"]) == 0) == (mixed["int8_drop"] <= 0.02)
        assert f"{artifact['name']}: " in said
    assert "(allowed 0.02)" in said


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["{tmp}/gone"], "there is no checkpoint at"),
        (["{tmp}"], "holds no best.safetensors"),
        (["{run}", "--int8", "--calibration-count", "63"], "--calibration-count must be at least 64, got 63"),
        (["{run}", "--int8", "--calibration", "{tmp}/gone"], "{tmp}/gone"),
        (["{run}", "--int8", "--calibration", "{tmp}"], "--calibration: there is nothing in the folder {tmp}"),
        (
            ["{run}", "--int8", "--calibration", "{run}/best.safetensors"],
            "is a file; name the folder that holds the data",
        ),
        (["{run}", "--max-drop", "0.3"], "--max-drop is about int8 files; give --int8 too"),
        (["{run}", "--int8", "--max-drop", "-1"], "--max-drop must lie between 0 and 100, got -1"),
        (["{run}", "--max-miou-drop", "-1"], "--max-miou-drop must lie between 0 and 100"),
        (["{run}", "--split", "nope"], "has no split 'nope'"),
        (["{run}", "--output", "logits"], "logits"),
    ],
)
def test_mistakes_are_one_line(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], complaint: str
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert run(["export", *(text.format(tmp=tmp_path, run=tiny_run) for text in given), *out]) == 2
    error = capsys.readouterr().err
    assert complaint.format(tmp=tmp_path) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_help_shows_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "edgeseg export runs/camvid --int8" in shown
    assert "--min-worst-agreement" in shown
