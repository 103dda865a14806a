"""What is known while a search goes on, and what that says of variants that were not measured.

Two assumptions, about nets, that a person would make too:

1. The same kind of file (precision and engine, on as many threads) with fewer pixels or fewer channels is no slower,
   and int8 is no slower than int8 with some layers in float.
2. With fewer pixels, fewer channels or a coarser precision a net scores no higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.records import Record
from edgeseg.optimize.space import Trial, Variant


class Knowledge:
    """Every record of a search, the original's mIoU and the best trial so far. Measures nothing."""

    def __init__(self, variants: Sequence[Variant], threads: Sequence[int], budget: Budget) -> None:
        self.records = [Record(variant) for variant in variants]
        self.threads, self.budget = sorted(set(threads)), budget
        self.original = -inf
        self.best: Trial | None = None

    @property
    def floor(self) -> float:
        """The lowest mIoU (0..1) allowed."""
        return self.budget.floor(self.original)

    def record(self, variant: Variant) -> Record:
        """Return what is known of a variant. Raises KeyError for one that the search does not have."""
        for record in self.records:
            if record.variant == variant:
                return record
        raise KeyError(variant)

    @property
    def best_score(self) -> float:
        """The mIoU (0..1) of the best trial; -inf without one."""
        score = self.record(self.best.variant).mean_iou if self.best else None
        return -inf if score is None else score

    @property
    def best_latency(self) -> float:
        """The milliseconds that the best trial's finished file takes; inf without one."""
        return self.record(self.best.variant).confirmed[self.best.threads].latency_ms if self.best else inf

    def in_time(self, record: Record) -> list[int]:
        """Return the numbers of threads that were measured to hold the latency."""
        return [threads for threads, latency in record.latency_ms.items() if latency <= self.budget.latency_ms]

    def possible_threads(self, variant: Variant) -> list[int]:
        """Return the numbers of threads on which no variant that is no larger was too slow."""
        smaller = self._no_larger_than(variant)
        limit = self.budget.latency_ms
        return [count for count in self.threads if all(other.latency_ms.get(count, 0) <= limit for other in smaller)]

    def too_slow(self, record: Record) -> str:
        """Name the measurement that rules every number of threads out, the variant's own or of a smaller one."""
        if record.latency_ms:
            return f"too slow: {min(record.latency_ms.values()):.2f} ms"
        slow = [
            (latency, str(other.variant))
            for other in self._no_larger_than(record.variant)
            for latency in other.latency_ms.values()
            if latency > self.budget.latency_ms
        ]
        latency, name = min(slow)
        return f"too slow: {name} already takes {latency:.2f} ms"

    def bound(self, record: Record) -> tuple[float, str]:
        """Return the highest mIoU a variant may have, and what says so."""
        above = [other for other in self.records if record.variant.no_better_than(other.variant)]
        lowest = min(above, key=lambda other: other.ceiling)
        return min((self.original, "the original"), (lowest.ceiling, str(lowest.variant)), key=lambda pair: pair[0])

    def points_lost(self, mean_iou: float) -> str:
        """Say what a score loses against the original, and what is allowed."""
        return f"{100 * (self.original - mean_iou):.2f} points of mIoU, {self.budget.max_drop:g} are allowed"

    def _no_larger_than(self, variant: Variant) -> list[Record]:
        return [other for other in self.records if other.variant.no_larger_than(variant)]
