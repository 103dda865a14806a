"""How workers get at a recording's frames: every one, in order."""

from __future__ import annotations

from threading import Lock

from edgeseg_runtime.sources.base import Frame, Source


class Feed:
    """Gives each frame to one worker, with a ticket: 0, 1, 2… The worker that asks reads it itself, one at a time."""

    def __init__(self, source: Source, limit: int | None) -> None:
        self._source, self._limit = source, limit
        self._lock = Lock()
        self._ended = False
        self.captured = 0
        """Frames given to workers."""
        self.error: BaseException | None = None
        """What ended the source too early; read it once every worker got None."""

    def take(self) -> tuple[int, Frame] | None:
        """Read the next frame; None at the end."""
        with self._lock:
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
            ticket = self.captured
            self.captured += 1
            if self.captured == self._limit:
                self._ended = True
            return ticket, frame

    def stop(self) -> None:
        """Let the next worker that asks find the end."""
        self._ended = True  # without the lock, which a slow read may hold

    def close(self, timeout: float) -> None:
        """Close the source, unless a read still holds it after `timeout` seconds. Call after `stop`."""
        if self._lock.acquire(timeout=timeout):
            self._source.close()
            self._lock.release()
