"""Latency of a network that has no file yet: exported, loaded in an engine, timed as `edgeseg bench` times it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import cv2

from edgeseg_bench.frames import pattern
from edgeseg_bench.measure import take_turns
from edgeseg_bench.subjects import Case, load

if TYPE_CHECKING:
    from torch import nn

    from edgeseg_runtime.contract import Contract

FRAMES = 4


def float_latency_ms(
    net: nn.Module,
    contract: Contract,
    *,
    engine: Literal["onnxruntime", "openvino"] = "openvino",
    threads: int = 1,
    seconds: float = 1.0,
) -> float:
    """Return the median milliseconds from a frame of the contract's size to its mask, in float32.

    Of instance models it is that of a frame without objects. A network that has just lost channels may see objects
    everywhere or nowhere; how many it will see once it has learnt again is not known, and each of them takes time.
    Raises what loading raises.
    """
    from edgeseg.training.checkpoint import in_contract
    from edgeseg_export.onnx_file import export_onnx

    before = cv2.getNumThreads()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(in_contract(deepcopy(net), _seeing_nothing(contract)), file)
        try:
            subject = load(Case("candidate", engine, "float32", threads, file))
            (laps,) = take_turns([subject], pattern(FRAMES, *contract.size), seconds)
        finally:
            cv2.setNumThreads(before)
    return 1e3 * median(laps.whole)


def _seeing_nothing(contract: Contract) -> Contract:
    """Return a contract by which no object is sure enough; that of a semantic model as it is."""
    selection = contract.selection
    if selection is None:
        return contract
    return replace(contract, selection=replace(selection, thresholds=(1.0,) * len(selection.thresholds)))
