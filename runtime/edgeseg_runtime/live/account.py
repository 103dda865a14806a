"""Where every captured frame went: captured = inferred + reused + dropped + failed, once nothing is in flight."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, TypeAlias

Fate: TypeAlias = Literal["inferred", "reused", "failed"]
Cause: TypeAlias = Literal["overtaken", "no mask", "filter failed", "stopped"]
"""Why a frame was dropped: a newer one came; no model was ready for it, or no mask young enough; what
makes pictures fit to be shown failed on it; the stream ended before its turn."""


@dataclass(frozen=True)
class Account:
    """The ledger of one camera at one moment."""

    captured: int = 0
    inferred: int = 0
    """Went through the model, and their own mask was put out."""
    reused: int = 0
    """Put out with the mask of an earlier frame."""
    failed: int = 0
    """The model raised or hung."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Neither put out nor failed, by cause."""

    @property
    def in_flight(self) -> int:
        """Captured, and not yet decided."""
        return self.captured - self.inferred - self.reused - self.failed - sum(self.dropped.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "captured": self.captured,
            "inferred": self.inferred,
            "reused": self.reused,
            "failed": self.failed,
            "dropped": dict(self.dropped),
            "in_flight": self.in_flight,
        }


class Ledger:
    """Counts, from several threads. Each captured frame is booked once more, under what became of it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._captured = 0
        self._fates: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def captured(self, frames: int = 1) -> None:
        """Book frames that the source gave."""
        with self._lock:
            self._captured += frames

    def book(self, fate: Fate) -> None:
        """Say what became of a frame."""
        with self._lock:
            self._fates[fate] += 1

    def drop(self, cause: Cause, frames: int = 1) -> None:
        """Say why frames were dropped."""
        if frames:
            with self._lock:
                self._dropped[cause] += frames

    def settle(self) -> None:
        """Book whatever is still in flight as stopped: nobody will decide about it any more."""
        self.drop("stopped", self.account().in_flight)

    def account(self) -> Account:
        """Return the ledger as it is now."""
        with self._lock:
            fates = self._fates
            return Account(self._captured, fates["inferred"], fates["reused"], fates["failed"], dict(self._dropped))
