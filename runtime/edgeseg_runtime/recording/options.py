"""What to record, when, where, and how much of it to keep."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from edgeseg_runtime.errors import ConfigError

ALWAYS, MANUAL = "always", "manual"

Content: TypeAlias = Literal["overlay", "masks"]
"""`overlay`: the annotated picture. `masks`: the picture as it came, and the class mask in a second, lossless track."""

Clock: TypeAlias = Literal["captured", "position"]
"""Where a frame's time comes from: when it was captured (live), or its place in the file."""


@dataclass(frozen=True)
class RecordOptions:
    """How to record. Raises ConfigError for values outside what is allowed."""

    folder: Path
    """Gets the segments; made if it is not there."""
    trigger: str = ALWAYS
    """`always`, `manual`, or a condition such as `person>5%` (see `trigger`)."""
    content: Content = "overlay"
    segment_seconds: float = 10.0
    """Length of one file; each plays by itself."""
    pre_roll: float = 5.0
    """Seconds from before a trigger, or a start by hand, that the recording still holds; up to 1 s more."""
    post_roll: float = 5.0
    """Seconds to go on for after the condition last held."""
    quota_bytes: int | None = None
    """Once the folder's segments are more than this, the oldest are deleted; None: keep all."""
    quality: int = 23
    """x264's constant rate factor, 1 (best) to 51 (smallest)."""
    clock: Clock = "captured"

    def __post_init__(self) -> None:
        for name, lowest in (("segment_seconds", 1.0), ("pre_roll", 0.0), ("post_roll", 0.0)):
            value = getattr(self, name)
            if not (isfinite(value) and lowest <= value <= 3600):
                raise ConfigError(f"{name} must be {lowest:g} to 3600 s, got {value:g}")
        if self.quota_bytes is not None and self.quota_bytes < 1:
            raise ConfigError(f"quota_bytes must be at least 1, got {self.quota_bytes}")
        if not 1 <= self.quality <= 51:
            raise ConfigError(f"quality must be 1 (best) to 51 (smallest), got {self.quality}")
        for name, allowed in (("content", get_args(Content)), ("clock", get_args(Clock))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")

    @property
    def ring_seconds(self) -> float:
        """How much to hold back while nothing is recorded."""
        return 0.0 if self.trigger == ALWAYS else self.pre_roll
