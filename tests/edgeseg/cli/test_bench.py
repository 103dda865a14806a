from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edgeseg.cli.app import run
from edgeseg_runtime.contract import Contract

if TYPE_CHECKING:
    from tests.conftest import TinyModel

QUICK = ["--seconds", "0.02", "--threads", "1"]


@pytest.fixture
def export(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> Path:
    for name in ("onnx-float32", "onnx-int8"):
        (tmp_path / "export" / name).mkdir(parents=True)
    tiny_model(colour_contract, tmp_path / "export" / "onnx-float32" / "model.onnx")
    tiny_model(colour_contract, tmp_path / "export" / "onnx-int8" / "model.onnx", stride=8, precision="int8")
    return tmp_path / "export"


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a bench that has to fail by the user's mistake, and return its one line."""
    assert run(["bench", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    line = err.splitlines()[-1]
    assert line.startswith("edgeseg: ")
    return line


def test_an_export_is_measured_and_written_down(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(export), *QUICK, "--json"]) == 0
    out, err = capsys.readouterr()
    answer: dict[str, Any] = json.loads(out)
    assert answer == json.loads((export / "bench.json").read_text(encoding="utf-8"))
    assert [(row["name"], row["engine"]) for row in answer["rows"]] == [
        ("onnx-float32", "onnxruntime"),
        ("onnx-float32", "openvino"),
        ("onnx-int8", "onnxruntime"),
    ]
    assert "generated pattern" in answer["settings"]["frames"] and "generated pattern" in err
    assert "PyTorch is not measured" in err
    assert len(answer["verdicts"]) == 1 and answer["verdicts"][0]["over_float32"] > 0
    assert cv2.imread(str(export / "bench.png")) is not None


def test_the_table_and_the_verdict_are_printed(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", str(export), *QUICK, "--out", str(tmp_path / "elsewhere")]) == 0
    out = capsys.readouterr().out
    assert "onnx-int8" in out and "frames/s" in out and "With 1 thread: int8" in out
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["bench.json", "bench.png"]
    assert not (export / "bench.json").exists()


def test_frames_of_a_clip_are_measured_on(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((30, 40, 3), number, np.uint8))
    arguments = [str(export / "onnx-int8"), "--source", str(tmp_path / "*.png"), *QUICK, "--json"]
    assert run(["bench", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["frames"].startswith("3 frames of 30×40 from ")


def test_several_places_and_engines_can_be_named(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [str(export / name / "model.onnx") for name in ("onnx-int8", "onnx-float32", "onnx-int8")]
    assert run(["bench", *places, *QUICK, "--engine", "openvino", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["name"], row["engine"]) for row in rows] == [("onnx-float32", "openvino"), ("onnx-int8", "openvino")]


def test_each_export_is_judged_by_itself(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "small" / "export"
    shutil.copytree(export, other)
    for folder in (export, other):
        (folder / "manifest.json").write_text("{}")
    places = [str(export), str(other)]
    assert run(["bench", *places, *QUICK, "--engine", "onnxruntime", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [row["network"] for row in answer["rows"]] == [tmp_path.name, tmp_path.name, "small", "small"]
    assert [verdict["network"] for verdict in answer["verdicts"]] == [tmp_path.name, "small"]
    line = error_of([*places, *QUICK, "--original", str(tmp_path)], capsys)
    assert "--original names one run, and files of several networks are measured" in line


def test_a_contract_can_be_given(export: Path, tmp_path: Path, colour_contract: Contract) -> None:
    (tmp_path / "contract.json").write_text(colour_contract.to_json())
    assert run(["bench", str(export / "onnx-int8"), *QUICK, "--contract", str(tmp_path / "contract.json")]) == 0


def test_pictures_of_other_classes_are_refused(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = error_of([str(export), "--data", "procedural:48x64,n=2", *QUICK], capsys)
    assert "onnx-float32 knows the classes red, green, blue; the pictures have" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "PATHS"),
        (["{tmp}/absent"], "there is no model at"),
        (["{tmp}"], "holds no .onnx or .xml model"),
        (["{export}", "--threads", "0"], "--threads must be 1 or more, got 0"),
        (["{export}", "--threads", "999"], "--threads 999: there are"),
        (["{export}", "--seconds", "nan"], "--seconds must be more than 0 and not endless, got nan"),
        (["{export}", "--seconds", "inf"], "--seconds must be more than 0 and not endless, got inf"),
        (["{export}", "--max-drop", "nan"], "--max-drop must lie between 0 and 100, got nan"),
        (["{export}", "--seconds", "0"], "--seconds must be more than 0 and not endless, got 0"),
        (["{export}", "--engine", "tensorflow"], "tensorflow"),
        (["{export}", "--source", "{tmp}/absent.mp4"], "absent.mp4"),
        (["{export}", "--data", "{tmp}/absent"], "absent"),
        (["{export}", "--original", "{tmp}/absent"], "there is no checkpoint at"),
        (["{export}", "--contract", "{tmp}/absent.json"], "absent.json cannot be read"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], words: str, export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"{export}": str(export), "{tmp}": str(tmp_path / "empty")}
    filled = arguments
    for mark, place in places.items():
        filled = [argument.replace(mark, place) for argument in filled]
    assert words in error_of(filled, capsys)


def test_a_model_that_carries_no_usable_contract_is_refused(
    export: Path, colour_contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.json").write_text(replace(colour_contract, width=40).to_json())
    line = error_of([str(export), "--contract", str(tmp_path / "wrong.json")], capsys)
    assert "its contract says uint8 (1, 24, 40, 3)" in line
