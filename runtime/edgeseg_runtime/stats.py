"""How a stream is doing: rates, percentiles, and the frame account that must balance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

STAGES = ("take", "preprocess", "infer", "decode", "draw", "emit")
"""What a frame's time goes into: waiting for and reading it, the model's three stages, drawing and encoding for the
outputs, writing to them."""

_PER_OCTAVE = 32
_SMALLEST = 1e-6
_BINS = 35 * _PER_OCTAVE  # up to 2**35 µs, about nine hours


class Histogram:
    """Durations in bins of equal ratio: percentiles to 1.1 %, in constant memory however long the stream runs."""

    def __init__(self) -> None:
        self._counts = [0] * _BINS

    def add(self, seconds: float) -> None:
        """Count one duration; under a microsecond counts as one."""
        place = int(math.log2(seconds / _SMALLEST) * _PER_OCTAVE) if seconds > _SMALLEST else 0
        self._counts[min(place, _BINS - 1)] += 1

    def counts(self) -> npt.NDArray[np.int64]:
        """Return a copy of the counts; the difference of two copies describes the time between them."""
        return np.array(self._counts, np.int64)


def percentile(counts: npt.NDArray[np.int64], percent: float) -> float | None:
    """Return the duration in seconds that `percent` of those counted do not exceed; None if none were.

    The nearest-rank percentile, given as the geometric middle of its bin.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    rank = max(1, math.ceil(total * percent / 100))
    place = int(np.searchsorted(np.cumsum(counts), rank))
    return float(_SMALLEST * 2 ** ((place + 0.5) / _PER_OCTAVE))


@dataclass(frozen=True)
class Spread:
    """The middle and the slow end of some durations, in seconds; None where nothing was measured."""

    p50: float | None
    p99: float | None

    def as_ms(self) -> dict[str, float | None]:
        """Return milliseconds, for JSON."""
        return {"p50_ms": _ms(self.p50), "p99_ms": _ms(self.p99)}

    def __str__(self) -> str:
        return "/".join("-" if value is None else f"{value * 1e3:.1f}" for value in (self.p50, self.p99))


class StreamStats:
    """Written by one thread at a time, whichever emits; read by any, which may see a frame counted in part."""

    def __init__(self) -> None:
        self.emitted = 0
        self._age = Histogram()
        self._stages = tuple(Histogram() for _ in STAGES)

    def emit(self, age: float, stages: tuple[float, ...]) -> None:
        """Count a frame that has been given to every output: its age and its time in each of STAGES, in seconds."""
        self.emitted += 1
        self._age.add(age)
        for histogram, seconds in zip(self._stages, stages, strict=True):
            histogram.add(seconds)

    def counts(self) -> npt.NDArray[np.int64]:
        """Return the counts of the age (row 0) and of each stage; see `Histogram.counts`."""
        return np.stack([histogram.counts() for histogram in (self._age, *self._stages)])


def spreads(counts: npt.NDArray[np.int64]) -> tuple[Spread, dict[str, Spread]]:
    """Return the spread of the frame age and of every stage from what `StreamStats.counts` gave."""
    age, *stages = (Spread(percentile(row, 50), percentile(row, 99)) for row in counts)
    return age, dict(zip(STAGES, stages, strict=True))


@dataclass(frozen=True)
class StreamSummary:
    """What a stream did. captured = emitted + dropped: no frame is in flight any more."""

    source: str
    captured: int
    """Frames the source gave."""
    emitted: int
    """Frames that reached every output."""
    dropped: int
    """Frames that were on their way when the stream was ended."""
    seconds: float
    """From the first read to the last frame written."""
    age: Spread
    """From captured to written."""
    stages: dict[str, Spread]
    ended: str
    """Why: `end` of the source, `limit` reached, window `closed`, or `interrupted`."""
    remarks: tuple[str, ...]
    """What the reader of the outputs should know."""

    @property
    def fps(self) -> float:
        """Frames written a second."""
        return self.emitted / self.seconds if self.seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "source": self.source,
            "live": False,
            "captured": self.captured,
            "emitted": self.emitted,
            "dropped": self.dropped,
            "seconds": round(self.seconds, 4),
            "fps": round(self.fps, 2),
            "age": self.age.as_ms(),
            "stages": {name: spread.as_ms() for name, spread in self.stages.items()},
            "ended": self.ended,
            "remarks": list(self.remarks),
        }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 4)
