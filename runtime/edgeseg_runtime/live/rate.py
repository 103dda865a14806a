"""How many times a second something happens, now."""

from __future__ import annotations

from collections import deque

WINDOW = 5.0
"""Seconds that are looked back on."""


class Rate:
    """Counts over the last seconds. Used by one thread; another may read."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._marks: deque[tuple[float, int]] = deque()

    def mark(self, total: int, now: float) -> None:
        """Note a running total at a time of the monotonic clock."""
        self._marks.append((now, total))
        # One mark older than the window stays: the rate is taken from it.
        while len(self._marks) > 2 and self._marks[1][0] <= now - self._window:
            self._marks.popleft()

    def per_second(self) -> float:
        """Return the mean rate over the window; 0 before there are two marks."""
        if len(self._marks) < 2:
            return 0.0
        (first, before), (last, total) = self._marks[0], self._marks[-1]
        return (total - before) / (last - first) if last > first else 0.0
