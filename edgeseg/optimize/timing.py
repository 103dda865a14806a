"""Latency of a file, as `edgeseg bench` takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2

from edgeseg.optimize.space import Trial
from edgeseg_bench.measure import take_turns
from edgeseg_bench.subjects import Case, load
from edgeseg_runtime.preprocess import Image

SLICES = 3
"""Of the measuring time. The one with the lowest median counts: what else the machine does is no part of a model."""


@dataclass(frozen=True)
class Timing:
    """Medians in milliseconds."""

    whole: float
    """From picture to mask."""
    network: float
    """Of preprocessing and inference."""
    decode: float
    """From scores to mask."""


def measure(file: Path, trial: Trial, precision: str, frames: Sequence[Image], seconds: float) -> Timing:
    """Run a file for some seconds, a frame at a time. Raises what loading raises."""
    before = cv2.getNumThreads()
    try:
        subject = load(Case(str(trial), trial.variant.engine, precision, trial.threads, file))
        slices = [take_turns([subject], frames, seconds / SLICES)[0] for _ in range(SLICES)]
    finally:
        cv2.setNumThreads(before)
    laps = min(slices, key=lambda each: median(each.whole))
    return Timing(
        1e3 * median(laps.whole),
        1e3 * median(times.preprocess + times.infer for times in laps.stages),
        1e3 * median(times.decode for times in laps.stages),
    )
