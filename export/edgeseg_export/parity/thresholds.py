"""How far an artifact's masks may be from the original's, by the arithmetic it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Generic, TypeVar

from edgeseg_runtime.contract import Precision
from edgeseg_runtime.errors import ConfigError


def _check(name: str, value: float) -> None:
    highest = 1 if name.startswith("min_") else 100
    if not 0 <= value <= highest:
        raise ConfigError(f"{_flag(name)} must lie between 0 and {highest}, got {value}")


def _stricter(name: str, one: float, other: float) -> float:
    return max(one, other) if name.startswith("min_") else min(one, other)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


@dataclass(frozen=True)
class Bounds:
    """One bound, or none, for each number of a gate. Raises ConfigError for a bound that cannot be meant.

    `min_…` are shares in 0..1, `max_…` lie in 0..100.
    """

    TITLES: ClassVar[Mapping[str, str]] = {}
    """What each bound holds against, in words."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None:
                _check(name, value)


L = TypeVar("L", bound=Bounds)


@dataclass(frozen=True)
class Limits(Bounds):
    """How far masks may be from the original's."""

    TITLES: ClassVar[Mapping[str, str]] = {
        "min_agreement": "pixel agreement, mean over pictures",
        "min_worst_agreement": "pixel agreement, worst picture",
        "min_edge_agreement": "pixel agreement near class edges",
        "max_miou_drop": "mIoU drop, points",
        "max_class_drop": "IoU drop of a class, points",
        "max_boundary_drop": "boundary F drop, points",
    }

    min_agreement: float
    """Least share (0..1) of pixels with the original's class, averaged over pictures."""
    min_worst_agreement: float
    """Least share (0..1) of such pixels on the picture where it is lowest."""
    min_edge_agreement: float
    """Least share (0..1) of such pixels near the class edges of the original's masks."""
    max_miou_drop: float
    """Most points (0..100) of mean IoU against the truth that may be lost."""
    max_class_drop: float
    """Most points (0..100) of IoU that any class with enough pixels may lose."""
    max_boundary_drop: float
    """Most points (0..100) of boundary F-measure against the truth that may be lost."""


@dataclass(frozen=True)
class Overrides(Bounds):
    """Bounds to use in place of a precision's own: beyond them the artifact is refused. Empty keeps the default."""

    min_agreement: float | None = None
    """Least share (0..1) of pixels with the original's class, averaged over pictures."""
    min_worst_agreement: float | None = None
    """Least share (0..1) of such pixels on the picture where it is lowest."""
    min_edge_agreement: float | None = None
    """Least share (0..1) of such pixels near the class edges of the original's masks."""
    max_miou_drop: float | None = None
    """Most points (0..100) of mean IoU against the truth that may be lost."""
    max_class_drop: float | None = None
    """Most points (0..100) of IoU that any class with enough pixels may lose."""
    max_boundary_drop: float | None = None
    """Most points (0..100) of boundary F-measure against the truth that may be lost."""


@dataclass(frozen=True)
class Thresholds(Generic[L]):
    """Beyond `fail` an artifact is refused; between `warn` and `fail` it passes with a warning.

    Raises ConfigError when a warning would come later than the refusal.
    """

    fail: L
    warn: L

    def __post_init__(self) -> None:
        for field in fields(self.fail):
            fail, warn = getattr(self.fail, field.name), getattr(self.warn, field.name)
            if _stricter(field.name, fail, warn) != warn:
                raise ConfigError(f"{_flag(field.name)}: the warning at {warn} would come after the refusal at {fail}")

    def override(self, overrides: Bounds) -> Thresholds[L]:
        """Return these thresholds with the given refusals; a warning is never later than its refusal."""
        changed = {name: value for name, value in vars(overrides).items() if value is not None}
        warn = {name: _stricter(name, value, getattr(self.warn, name)) for name, value in changed.items()}
        return Thresholds(replace(self.fail, **changed), replace(self.warn, **warn))


_FLOAT32 = Limits(0.9999, 0.999, 0.999, 0.05, 0.2, 0.1)

DEFAULTS: Mapping[Precision, Thresholds[Limits]] = {
    # Another order of the same float32 sums: only exact ties may fall the other way, so there is nothing to warn of.
    "float32": Thresholds(fail=_FLOAT32, warn=_FLOAT32),
    # 8 bits of significand. Seen: well-trained nets agree on 0.9996 to 0.9999 of the pixels, a Fast-SCNN half-way
    # through CamVid on 0.9984 (0.988 near edges, 0.04 points of mIoU lost), an untrained net on 0.984. The first pass,
    # the second is worth a look, the last is refused.
    "bf16": Thresholds(
        fail=Limits(0.995, 0.99, 0.97, 0.3, 1.0, 0.5),
        warn=Limits(0.999, 0.997, 0.99, 0.1, 0.5, 0.2),
    ),
    "int8": Thresholds(
        fail=Limits(0.98, 0.95, 0.92, 2.0, 4.0, 3.0),
        warn=Limits(0.99, 0.97, 0.95, 1.0, 2.0, 1.5),
    ),
}
"""Where the gate stands unless told otherwise.

They speak of masks, not of accuracy: a weak model with many near-ties can fail on agreement while its mIoU is
untouched, and that is meant. The device would then show other masks than those looked at before shipping.
"""
