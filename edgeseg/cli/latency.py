"""Latency of a network that has no file yet: exported, loaded in an engine, timed as `edgeseg bench` times it."""

from __future__ import annotations

from copy import deepcopy
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

    Raises what loading raises.
    """
    from edgeseg_export.deployable import Deployable
    from edgeseg_export.onnx_file import export_onnx

    before = cv2.getNumThreads()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(Deployable(deepcopy(net), contract), file)
        try:
            subject = load(Case("candidate", engine, "float32", threads, file))
            (laps,) = take_turns([subject], pattern(FRAMES, *contract.size), seconds)
        finally:
            cv2.setNumThreads(before)
    return 1e3 * median(laps.whole)
