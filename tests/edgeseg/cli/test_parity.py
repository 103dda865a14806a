from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.cli.app import run
from edgeseg_export.parity.faults import plant, rename_labels, swap_labels

DATA = "procedural:64x96,n=96"
PICTURES = 24


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, untrained_run: Callable[[Path, str], Path]) -> Path:
    """A run that has learnt nothing, and its float file: its masks are noise, which is as good as any to compare."""
    return untrained_run(tmp_path_factory.mktemp("run"), DATA)


@pytest.fixture(scope="module")
def faulty(run_folder: Path) -> Path:
    return plant(run_folder / "model.onnx", run_folder / "faulty.onnx", swap_labels)


def test_an_untouched_file_passes(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["parity", str(run_folder), str(run_folder / "model.onnx")]) == 0
    shown = capsys.readouterr()
    assert f"on {PICTURES} pictures" in shown.out
    assert "pass" in shown.out


def test_a_faulty_file_fails_with_its_numbers_and_the_good_one_beside_it_does_not(
    run_folder: Path, faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["parity", str(run_folder), str(run_folder / "model.onnx"), str(faulty)]) == 1
    error = capsys.readouterr().err
    assert "1 of 2 files do not draw the original's masks" in error
    assert f"{faulty}: pixel agreement, mean over pictures: 0." in error
    assert "allowed is at least 0.9999" in error


def test_bounds_are_flags(run_folder: Path, faulty: Path) -> None:
    open_ = ["--min-agreement", "0", "--min-worst-agreement", "0", "--min-edge-agreement", "0"]
    open_ += ["--max-miou-drop", "100", "--max-class-drop", "100", "--max-boundary-drop", "100"]
    assert run(["parity", str(run_folder), str(faulty), *open_]) == 0


def test_json_is_one_document_even_when_the_gate_fails(
    run_folder: Path, faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["parity", str(run_folder), str(faulty), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)[str(faulty)]
    assert found["verdict"]["passed"] is False
    assert found["pictures"] == PICTURES
    assert found["agreement"]["mean"] < 0.9999


def test_the_report_is_written_even_when_the_gate_fails(run_folder: Path, faulty: Path, tmp_path: Path) -> None:
    page = tmp_path / "parity.html"
    assert run(["parity", str(run_folder), str(faulty), "--report", str(page), "--examples", "2"]) == 1
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure>") == 2 * 5
    assert "checkpoint sha256" in text


def test_a_file_of_another_size_is_pointed_out(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(run_folder / "model.onnx")
    assert run(["parity", str(run_folder), model, "--size", "96", "128"]) == 1
    assert "takes 64×96 pixels, the original is run at 96×128; --size 64 96 runs it alike" in capsys.readouterr().err


def test_labels_in_another_order_fail(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed = plant(run_folder / "model.onnx", tmp_path / "renamed.onnx", rename_labels)
    assert run(["parity", str(run_folder), str(renamed)]) == 1
    assert "class 0 is 'building', the original's is 'sky'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{run}"], "MODELS"),
        (["{run}", "{run}/nothing.onnx"], "there is no model at"),
        (["{run}/nothing", "{run}/model.onnx"], "there is no checkpoint at"),
        (["{run}", "{run}/model.onnx", "--min-agreement", "99"], "--min-agreement must lie between 0 and 1, got 99"),
        (["{run}", "{run}/model.onnx", "--resamples", "5"], "resamples must be at least 100, got 5"),
        (["{run}", "{run}/model.onnx", "--split", "nope"], "has no split 'nope'"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    run_folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert run(["parity", *(text.format(run=run_folder) for text in arguments)]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_help_shows_the_gates_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["parity", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "edgeseg parity runs/camvid" in shown
    assert "--max-miou-drop" in shown
