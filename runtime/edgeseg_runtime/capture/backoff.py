"""How long to wait before the next attempt."""

from __future__ import annotations

import random

from edgeseg_runtime.backoff import doubled
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.states import ABSENT, Reason

JITTER = 0.2
"""Waits are up to this much longer by chance, lest many cameras behind one switch come back in step."""


class Backoff:
    """Doubles from one failure to the next, up to a limit that depends on what is wrong."""

    def __init__(self, options: CaptureOptions, chance: random.Random | None = None) -> None:
        self._options, self._chance = options, chance or random.Random()
        self._failures = 0

    def success(self) -> None:
        """Begin anew: a frame has come."""
        self._failures = 0

    def failure(self, reason: Reason) -> float:
        """Return the seconds to wait after this failure."""
        options = self._options
        most = options.backoff_absent if reason in ABSENT else options.backoff_most
        wait = most if reason == "auth" else doubled(options.backoff_first, most, self._failures)
        self._failures += 1
        return wait * (1 + JITTER * self._chance.random())
