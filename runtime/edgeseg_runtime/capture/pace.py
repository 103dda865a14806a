"""Tell fresh frames from such as have waited on their way."""

from __future__ import annotations

_WINDOW = 60.0
"""Seconds after which a best time is forgotten: the camera's clock and ours drift apart, by a few ms a minute."""
_JUMP, _BACK = 10.0, 1.0
"""Time stamps that run ahead of the clock, or go back, by more than this many seconds begin a new time line."""
_UNSTAMPED = 3
"""Frames without time stamps after which a stream is taken to have none."""


class Pace:
    """Compares when frames come with the stream's own time stamps.

    A frame's lag is its arrival less its time stamp. What it lags by more than the quickest frames of the last minute
    did, it has spent waiting: in the camera, on the network, or here. Right after a connection is made nothing can be
    compared yet, and many servers send old pictures first, all at once; therefore nothing is fresh until a frame has
    taken about as long to come as its time stamps say.
    """

    def __init__(self, late_after: float) -> None:
        self._late_after = late_after
        self._last: tuple[float, float] | None = None
        self.caught_up = False
        """Whether it has been seen that frames come as they are made; what came before is skipped without harm."""
        self._unstamped = 0
        self._best = self._best_before = float("inf")
        """Least lag in this window, and in the one before."""
        self._window_ends = float("-inf")

    def fresh(self, arrived: float, position: float | None) -> bool:
        """Return whether a frame that came at `arrived` (monotonic s), of time stamp `position` (s), may be shown."""
        if position is None:  # the first frame of a stream often has none; of some streams, no frame has
            self._unstamped += 1
            return self._last is None and self._unstamped > _UNSTAMPED
        last, self._last = self._last, (arrived, position)
        lag = arrived - position
        if last is None:
            self._note(arrived, lag)
            return False
        took, step = arrived - last[0], position - last[1]
        if step < -_BACK or step > took + _JUMP:
            self._begin(lag)
            return False
        if step <= 0:
            self._last = last  # out of order: newer ones have been seen
            return False
        self.caught_up = self.caught_up or took >= step / 2
        self._note(arrived, lag)
        return self.caught_up and lag - min(self._best, self._best_before) <= self._late_after

    def _begin(self, lag: float) -> None:
        self.caught_up = False
        self._best = self._best_before = lag

    def _note(self, arrived: float, lag: float) -> None:
        if arrived >= self._window_ends:
            self._window_ends = arrived + _WINDOW
            self._best_before, self._best = self._best, lag
        self._best = min(self._best, lag)
