"""How long files take beside each other: a short look, for which `edgeseg bench` is the long one."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from time import perf_counter

from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter

ROUNDS, LAPS = 8, 4
"""Turns each, and frames a turn, of which the first is not counted."""


def interleaved_ms(
    segmenters: Mapping[str, Segmenter], frame: Image, rounds: int = ROUNDS, laps: int = LAPS
) -> dict[str, float]:
    """Return the median time of a frame, from picture to mask, in milliseconds, by name.

    In turns, so that a noisy second hits all alike.
    """
    times: dict[str, list[float]] = {name: [] for name in segmenters}
    for _ in range(rounds):
        for name, segmenter in segmenters.items():
            segmenter(frame)
            for _ in range(laps - 1):
                started = perf_counter()
                segmenter(frame)
                times[name].append(perf_counter() - started)
    return {name: round(1e3 * median(values), 4) for name, values in times.items()}
