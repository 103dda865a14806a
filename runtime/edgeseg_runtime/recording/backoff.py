"""When to try again what failed."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic

FIRST, LONGEST = 0.5, 10.0
"""Seconds."""


class Backoff:
    """Doubles the wait from failure to failure; starts anew after what worked for `LONGEST` seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._wait = FIRST
        self._due = -inf
        self._works_since: float | None = None

    @property
    def ready(self) -> bool:
        """Whether it is time to try."""
        return self._clock() >= self._due

    @property
    def worked_for(self) -> float:
        """Seconds since it first worked after the last failure; 0 if it has not."""
        return 0.0 if self._works_since is None else self._clock() - self._works_since

    def failed(self) -> None:
        """Wait before the next try, longer than last time unless it had worked for long."""
        if self.worked_for >= LONGEST:
            self._wait = FIRST
        self._works_since = None
        self._due = self._clock() + self._wait
        self._wait = min(2 * self._wait, LONGEST)

    def worked(self) -> None:
        """Say that it works."""
        if self._works_since is None:
            self._works_since = self._clock()
