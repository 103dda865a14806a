from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest

from edgeseg.cli.app import run
from edgeseg.cli.doctor import missing_packages, verdicts
from edgeseg_runtime.engines.openvino import OpenVinoEngine
from edgeseg_runtime.errors import MissingExtraError

BOTH_OPENCVS = {"opencv-python": "5", "opencv-python-headless": "5", "torch": "1", "nncf": "1"}


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def facts(**changes: Any) -> dict[str, Any]:
    """A machine that has everything, but for `changes`."""
    return {
        "cpu": {"flags": ["avx2", "avx_vnni"]},
        "packages": {"opencv-python": "5.0", "torch": "2.15", "nncf": "3.4"},
        "missing": {},
        "engines": {
            "onnxruntime": {"devices": ["cpu"], "precisions": ["float32"], "reads": [".onnx"]},
            "openvino": {"devices": ["cpu", "gpu"], "precisions": ["float32", "bf16"], "reads": [".xml"]},
        },
        "window_problem": None,
        "cameras": ["/dev/video0"],
    } | changes


def test_json_tells_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["packages"]["numpy"] == metadata.version("numpy")
    assert "cpu" in told["engines"]["onnxruntime"]["devices"]
    assert "DISPLAY is not set" in told["window_problem"]
    assert set(told["verdicts"]) == {"stream", "window", "camera", "int8", "bf16", "train", "export", "opencv"}


def test_text_tells_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert f"numpy {metadata.version('numpy')}" in text
    assert "onnxruntime: devices" in text
    assert "window: no: a window needs a display" in text


def test_an_engine_that_is_not_installed_shows_its_pip_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent() -> None:
        raise MissingExtraError("openvino", "openvino")

    monkeypatch.setattr(OpenVinoEngine, "capabilities", absent)
    assert run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "openvino: openvino is not installed; install it with: pip install 'edgeseg[openvino]'" in text
    assert "bf16: no" in text


def test_optional_packages_that_are_absent_show_their_pip_line() -> None:
    missing = missing_packages({"openvino": "1", "torch": "1", "torchvision": "1", "lightning": "1"})
    assert missing["nncf"] == "pip install 'edgeseg[export]'"
    assert missing["matplotlib"] == "pip install 'edgeseg[plot]'"
    assert "torch" not in missing
    assert "numpy" not in missing_packages({})  # not optional


@pytest.mark.parametrize(
    ("changes", "verdict", "expected"),
    [
        ({}, "stream", "yes, with onnxruntime (cpu) and openvino (cpu, gpu)"),
        ({}, "window", "yes"),
        ({"window_problem": "why"}, "window", "no: why"),
        ({}, "camera", "yes, /dev/video0"),
        ({"cameras": []}, "camera", "no: there is no /dev/video*"),
        ({}, "int8", "yes, with int8 dot products in hardware (avx_vnni)"),
        ({"cpu": {"flags": ["avx2"]}}, "int8", "no int8 dot products"),
        ({}, "bf16", "yes, in openvino"),
        ({}, "train", "yes, torch 2.15"),
        ({"missing": {"torch": "pip install 'edgeseg[train]'"}}, "train", "no: pip install 'edgeseg[train]'"),
        ({"missing": {"nncf": "pip install 'edgeseg[export]'"}}, "export", "no: pip install 'edgeseg[export]'"),
        (
            {"packages": {"opencv-python": "5", "opencv-python-headless": "5", "torch": "1", "nncf": "1"}},
            "opencv",
            "two",
        ),
    ],
)
def test_verdicts_follow_from_the_facts(changes: dict[str, Any], verdict: str, expected: str) -> None:
    assert expected in verdicts(facts(**changes))[verdict]
