"""How workers get at a recording's frames: every one, in order."""

from __future__ import annotations

from math import ceil
from threading import Lock

from edgeseg_runtime.sources.base import Frame, Source

LONGEST_BURST = 16
"""Frames; longer ones save little more."""
ENOUGH = 4
"""Frames; a worker that has as many lets another read that waits to."""
LARGEST_BURST = 12 << 20
"""Bytes of frames from which on a burst has enough, so that large frames do not fill the memory."""


class Feed:
    """Gives bursts of frames to workers, with a ticket: 0, 1, 2… The worker that asks reads them, one at a time."""

    def __init__(self, source: Source, limit: int | None, workers: int = 1) -> None:
        self._source, self._limit, self._workers = source, limit, workers
        self._lock, self._counting = Lock(), Lock()
        self._waiting = 0  # workers that want to read and cannot yet
        self._ended = False
        self._bursts = 0
        self.captured = 0
        """Frames given to workers."""
        self.error: BaseException | None = None
        """What ended the source too early; read it once every worker got None."""

    def take(self, most: int) -> tuple[int, list[Frame]] | None:
        """Read the next frames, at least one and at most `most`; None at the end.

        A burst is the shorter while others wait to read, for their cores are idle, and near an end that is known, where
        no worker takes more than its share of what is left, so that all finish together.
        """
        self._wait(1)
        with self._lock:
            self._wait(-1)
            most = self._share(most)
            frames: list[Frame] = []
            size = 0
            while len(frames) < most and size < LARGEST_BURST and (frame := self._next()) is not None:
                frames.append(frame)
                size += frame.image.nbytes
                if self._waiting and len(frames) >= ENOUGH:
                    break
            if not frames:
                return None
            self._bursts += 1
            return self._bursts - 1, frames

    def stop(self) -> None:
        """Let the next worker that asks find the end."""
        self._ended = True  # without the lock, which a slow read may hold

    def close(self, timeout: float) -> None:
        """Close the source, unless a read still holds it after `timeout` seconds. Call after `stop`."""
        if self._lock.acquire(timeout=timeout):
            self._source.close()
            self._lock.release()

    def _wait(self, more: int) -> None:
        with self._counting:
            self._waiting += more

    def _share(self, most: int) -> int:
        ends = [end for end in (self._limit, self._source.length) if end is not None]
        return min([most, *(max(1, ceil((end - self.captured) / self._workers)) for end in ends)])

    def _next(self) -> Frame | None:
        if self._ended:
            return None
        try:
            frame = self._source.read()
        except BaseException as error:  # the frames before it are still written; then the stream raises it
            self.error, self._ended = error, True
            return None
        if frame is None:
            self._ended = True
            return None
        self.captured += 1
        if self.captured == self._limit:
            self._ended = True
        return frame
