"""What has to be met."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf, isfinite

from edgeseg_runtime.errors import ConfigError

DEFAULT_GAIN = 0.5
"""Points of mIoU; chance moves the score of a hundred pictures by about as much."""

MIXED_DROP = 0.3
"""Points of mIoU that a mixed file may lose against the float32 file of its size and weights where no drop is given."""

ROUNDING = 1e-9
"""A bound that is met exactly must not be missed by the last bit of a sum."""

_UNITS_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_DURATION = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(us|µs|ms|s)")


def parse_latency(text: str) -> float:
    """Return milliseconds from `12ms`, `0.012s` or `800us`. Raises ConfigError for anything else, and for 0."""
    match = _DURATION.fullmatch(text.strip())
    value = float(match[1]) * _UNITS_MS[match[2]] if match else 0.0
    if not 0 < value < inf:
        raise ConfigError(f"--latency must be a time above 0 with its unit, such as 12ms or 0.012s; got {text!r}")
    return value


@dataclass(frozen=True)
class Budget:
    """The bounds. Raises ConfigError for values that bound nothing."""

    latency_ms: float
    """Largest median latency, from picture to mask."""
    max_drop: float | None = None
    """Most points of mIoU (0..100) that may be lost against the original; None: as little as can be."""
    min_gain: float | None = None
    """Points of mIoU that a training must be able to gain; None: `max_drop`, or DEFAULT_GAIN without one."""

    def __post_init__(self) -> None:
        for flag, value in (("max-drop", self.max_drop), ("min-gain", self.min_gain)):
            if value is not None and not (isfinite(value) and value >= 0):
                raise ConfigError(f"--{flag} must be 0 or more points of mIoU, got {value:g}")

    @property
    def gain_points(self) -> float:
        """What a training must be able to gain to be paid for, in points of mIoU.

        By default `max_drop`: nothing can be that much better than a trial that holds it, so training ends with the
        first that meets both bounds.
        """
        points = self.min_gain if self.min_gain is not None else self.max_drop
        return DEFAULT_GAIN if points is None else points

    @property
    def gain(self) -> float:
        """The same as a share (0..1)."""
        return self.gain_points / 100 + ROUNDING

    @property
    def mixed_drop(self) -> float:
        """Most points that a mixed file may lose: against the original with `max_drop`, else see MIXED_DROP."""
        return MIXED_DROP if self.max_drop is None else self.max_drop

    def floor(self, original: float) -> float:
        """Return the lowest mIoU (0..1) allowed for an original of mIoU `original`; -inf without a bound."""
        return -inf if self.max_drop is None else original - self.max_drop / 100 - ROUNDING
