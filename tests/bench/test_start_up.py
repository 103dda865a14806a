"""The script on a model of two layers: what it starts and tells, not how long that takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import start_up
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import EdgesegError

if TYPE_CHECKING:
    from tests.conftest import TinyModel


def test_medians_decide_and_the_first_turn_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    took = iter([9.0, 9.0, 0.5, 0.7, 0.4, 1.2, 0.6, 1.3])
    monkeypatch.setattr(start_up, "first_mask", lambda _: next(took))
    out = tmp_path / "start_up.json"
    assert start_up.measure(Path("a"), Path("b"), config=start_up.StartUpConfig(3, out)) == 1
    rows = json.loads(out.read_text(encoding="utf-8"))["models"]
    assert rows == [
        {"model": "a", "seconds": 0.5, "turns": [0.5, 0.4, 0.6]},
        {"model": "b", "seconds": 1.2, "turns": [0.7, 1.2, 1.3]},
    ]


def test_a_model_is_started_to_its_mask(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    assert start_up.first_mask(str(tiny_model(colour_contract, tmp_path / "model.onnx"))) > 0


def test_a_model_that_gives_no_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgesegError, match=r"missing\.onnx gave no mask"):
        start_up.first_mask(str(tmp_path / "missing.onnx"))
