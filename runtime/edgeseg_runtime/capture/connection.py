"""How one attempt to connect goes, as the parent sees it."""

from __future__ import annotations

from collections import deque
from typing import Literal

from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.states import Lost

_GRACE = 2.0
"""Seconds that a worker may take longer than the timeouts that it keeps itself."""
_USUAL_GAPS = 3.0
"""Times the usual gap between two frames after which a slow stream counts as stalled."""
_SOON = 0.6
"""Seconds after which a quick and steady stream counts as stalled."""
_LONGEST_GAPS = 2.0
"""Times the longest gap of late that even such a stream is given."""
_REMEMBERED = 64
"""Gaps between frames; a stream that gave fewer is not yet known to be steady."""
_SLOW = 2.0
"""Times `stall_after`, until when a source should have answered."""
_GAIN = 0.2
"""Of the mean over the last gaps."""


class Connection:
    """Times of one attempt; all are seconds on the monotonic clock."""

    def __init__(self, options: CaptureOptions, asked_at: float) -> None:
        self._options, self._asked_at = options, asked_at
        self.opening_at: float | None = None
        self.opened_at: float | None = None
        self.frozen = False
        self._good_at: float | None = None
        self._gap = 0.0
        self._gaps: deque[float] = deque(maxlen=_REMEMBERED)
        self._damaged_at = float("-inf")

    def frame(self, now: float) -> None:
        """Note that a good frame has come."""
        if self._good_at is not None:
            gap = now - self._good_at
            self._gap += _GAIN * (gap - self._gap)
            self._gaps.append(gap)
        self._good_at = now

    def damage(self, now: float) -> None:
        """Note that damaged frames have come."""
        self._damaged_at = now

    def stalled(self, now: float) -> Literal["no frames", "damaged"] | None:
        """Return what is the matter if no good frame has come for too long."""
        if self.opened_at is None:
            return None
        good_at = self._good_at or self.opened_at
        if now - good_at <= self._patience():
            return None
        return "damaged" if self._damaged_at > good_at else "no frames"

    def _patience(self) -> float:
        """Return how long to wait for the next frame: as long as this stream's own habits ask for."""
        longest, most = _LONGEST_GAPS * max(self._gaps, default=0.0), self._options.stall_after
        if len(self._gaps) == _REMEMBERED and longest < most:
            return min(most, max(_SOON, longest))
        return max(most, _USUAL_GAPS * self._gap)

    def slow(self, now: float) -> bool:
        """Return whether the source takes its time to answer, though its timeout is not over yet."""
        if self.opening_at is None or self.opened_at is not None:
            return False
        return now - self.opening_at > _SLOW * self._options.stall_after

    def check(self, now: float) -> None:
        """Raise Lost when the worker has overrun the timeouts that it should have kept."""
        options = self._options
        if self.opening_at is None:
            if now - self._asked_at > options.start_timeout:
                raise Lost("worker hung", f"it did not begin to connect within {options.start_timeout:g} s")
        elif self.opened_at is None:
            if now - self.opening_at > options.connect_timeout + _GRACE:
                raise Lost("timeout", f"no connection within {options.connect_timeout:g} s")
        elif now - (self._good_at or self.opened_at) > 2 * options.read_timeout + _GRACE:
            raise Lost("worker hung", "the read did not end at its timeout")
