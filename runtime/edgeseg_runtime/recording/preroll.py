"""The last seconds before a recording, ready to be written."""

from __future__ import annotations

from collections import deque

from edgeseg_runtime.recording.encoder import Chunk

LIMIT_BYTES = 32 << 20
"""Most that one camera's pre-roll may hold. 5 s of 1280×720 at 24 frames a second took 5 MB."""

GAP_SECONDS = 1.0
"""How much older than asked for a frame may be; older ones lie before a gap in the source."""


class PreRoll:
    """Encoded frames of the last `seconds`, in runs that begin with a key frame.

    Holds up to one run more than asked for, because a run cannot be cut, and never more than `limit` bytes.
    """

    def __init__(self, seconds: float, limit: int = LIMIT_BYTES) -> None:
        self._seconds, self._limit = seconds, limit
        self._runs: deque[list[Chunk]] = deque()
        self.size = 0
        """Bytes held."""

    @property
    def empty(self) -> bool:
        """Nothing is held, so that the next frame must be a key frame."""
        return not self._runs

    def push(self, chunk: Chunk) -> None:
        """Add the newest frame and drop what has grown too old, or too much."""
        if chunk.key:
            self._runs.append([])
        elif not self._runs:
            raise ValueError("a pre-roll begins with a key frame")
        self._runs[-1].append(chunk)
        self.size += chunk.size
        while self._runs and (self.size > self._limit or self._first_is_old(chunk.time)):
            self.size -= sum(old.size for old in self._runs.popleft())

    @property
    def chunks(self) -> list[Chunk]:
        """Everything, oldest first."""
        return [chunk for run in self._runs for chunk in run]

    def clear(self) -> None:
        """Forget everything."""
        self._runs.clear()
        self.size = 0

    def _first_is_old(self, now: float) -> bool:
        if len(self._runs) < 2:
            return False
        rest_suffices = now - self._runs[1][0].time >= self._seconds
        before_a_gap = now - self._runs[0][-1].time >= self._seconds + GAP_SECONDS
        return rest_suffices or before_a_gap
