"""What is known of each variant while a search goes on, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from edgeseg.optimize.measurements import Confirmation, Estimate
from edgeseg.optimize.space import Trial, Variant


@dataclass
class Record:
    """What is known of a variant."""

    variant: Variant
    latency_ms: dict[int, float] = field(default_factory=dict)
    """By threads, of a net of this shape."""
    estimate: Estimate | None = None
    mean_iou: float | None = None
    confirmed: dict[int, Confirmation] = field(default_factory=dict)
    """By threads, of the finished file."""
    verdict: str | None = None
    """Why it is out, in words; None while it is not."""
    impossible: bool = False
    """Whether it is out because these settings cannot be had."""

    @property
    def refused(self) -> bool:
        """Whether the parity gate refused its file."""
        return any(found.refusal is not None for found in self.confirmed.values())

    @property
    def ceiling(self) -> float:
        """The highest mIoU it may have, as far as it was looked at."""
        if self.mean_iou is not None:
            return self.mean_iou
        return inf if self.estimate is None else self.estimate.ceiling


@dataclass(frozen=True)
class Outcome:
    """How a search ended."""

    original: float
    records: tuple[Record, ...]
    best: Trial | None
    finished: bool
    """Whether it ended by itself, and not because time was up."""

    def record(self, variant: Variant) -> Record:
        """Return what is known of a variant."""
        return next(record for record in self.records if record.variant == variant)
