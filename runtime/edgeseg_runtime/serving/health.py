"""How a model has done lately, and what follows: when to give up on a frame, how long to wait before a restart."""

from __future__ import annotations

from collections import deque
from statistics import median

from edgeseg_runtime.backoff import doubled
from edgeseg_runtime.serving.spec import ServingOptions

_REMEMBERED = 63
"""Inferences that the median is taken over: about two seconds of a camera."""


class Health:
    """Of one model, over all its processes. All times are of the monotonic clock. Not locked: its owner does that."""

    def __init__(self, options: ServingOptions, first: float) -> None:
        """Begin with the seconds that the first inference took."""
        self._options = options
        self._durations = deque([first], _REMEMBERED)
        self._failures: deque[float] = deque(maxlen=options.degraded_after)
        self._in_a_row = 0
        self.degraded = False

    def worked(self, seconds: float, now: float) -> bool:
        """Note an inference; True when that ends a degraded time: no failure came for the length of the window."""
        self._durations.append(seconds)
        self._in_a_row = 0
        if not self.degraded or now - self._failures[-1] <= self._options.window_seconds:
            return False
        self.degraded = False
        self._failures.clear()
        return True

    def failed(self, now: float) -> bool:
        """Note a failure; True when it is the one that makes the model degraded."""
        self._failures.append(now)
        self._in_a_row += 1
        full = len(self._failures) == self._options.degraded_after
        many = full and now - self._failures[0] <= self._options.window_seconds
        became = many and not self.degraded
        self.degraded |= many
        return became

    @property
    def deadline(self) -> float:
        """Seconds that the next inference may take."""
        options = self._options
        if options.deadline_seconds is not None:
            return options.deadline_seconds
        return max(options.deadline_floor, options.deadline_factor * median(self._durations))

    @property
    def backoff(self) -> float:
        """Seconds to wait before a process is started: none after a first failure, then twice as long each time."""
        if self._in_a_row < 2:
            return 0.0
        return doubled(self._options.backoff_first, self._options.backoff_longest, self._in_a_row - 2)
