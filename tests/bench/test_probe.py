from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeseg_bench.probe import peak_rss_bytes, probe
from edgeseg_bench.subjects import Case
from edgeseg_runtime.contract import Contract

if TYPE_CHECKING:
    from tests.conftest import TinyModel


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_fresh_process_is_measured_and_not_this_one(
    engine: str, tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    ballast = np.ones(600 * 1024 * 1024, np.uint8)  # what started the probe must not be counted as the model's
    case = Case("m", engine, "float32", 1, tiny_model(colour_contract, tmp_path / "model.onnx"))
    answer = probe(case)
    assert ballast[-1] == 1 and peak_rss_bytes() > 600 * 1024 * 1024
    assert set(answer) == {"load_ms", "first_mask_ms", "peak_rss_bytes"}
    assert answer["load_ms"] > 0 and answer["first_mask_ms"] > 0
    assert 20 * 1024 * 1024 < answer["peak_rss_bytes"] < 500 * 1024 * 1024


def test_a_given_contract_reaches_the_process(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> None:
    file = tiny_model(colour_contract, tmp_path / "model.onnx")
    wrong = replace(colour_contract, height=12)  # shows that it arrives: the model does not fit it
    with pytest.raises(RuntimeError, match="its contract says uint8"):
        probe(Case("m", "onnxruntime", "float32", 1, file, wrong))
    probe(Case("m", "onnxruntime", "float32", 1, file, colour_contract))


def test_a_probe_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="there is no model at"):
        probe(Case("m", "onnxruntime", "float32", 1, tmp_path / "absent.onnx"))
