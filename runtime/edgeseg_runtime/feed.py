"""How workers get at a source's frames: every one in order, or always the newest."""

from __future__ import annotations

from threading import Lock, Thread
from typing import Protocol

from edgeseg_runtime.slot import Slot
from edgeseg_runtime.sources.base import Frame, Source


class Feed(Protocol):
    """Gives each frame to one worker, with a ticket: 0, 1, 2… in the order of taking."""

    error: BaseException | None
    """What ended the source too early; read it once every worker got None."""

    @property
    def captured(self) -> int:
        """Frames read from the source."""
        ...

    @property
    def taken(self) -> int:
        """Frames given to workers."""
        ...

    @property
    def dropped(self) -> int:
        """Frames read that no worker got: overtaken by a newer one, or waiting when the stream was ended."""
        ...

    def start(self) -> None:
        """Begin to read."""
        ...

    def take(self) -> tuple[int, Frame] | None:
        """Return the next ticket and frame, None at the end."""
        ...

    def stop(self) -> None:
        """Give out nothing more. Does not wait."""
        ...

    def close(self, timeout: float) -> None:
        """Close the source, unless a read still holds it after `timeout` seconds. Call after `stop`."""
        ...


class SerialFeed:
    """For recordings: the worker that asks reads the next frame itself, one worker at a time."""

    dropped = 0

    def __init__(self, source: Source, limit: int | None) -> None:
        self._source, self._limit = source, limit
        self._lock = Lock()
        self._ended = False
        self.captured = 0
        self.error: BaseException | None = None

    @property
    def taken(self) -> int:
        """Every frame is read by the worker that takes it."""
        return self.captured

    def start(self) -> None:
        """Nothing runs between the workers' reads."""

    def take(self) -> tuple[int, Frame] | None:
        """Read the next frame."""
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
        """Close the source once nobody reads."""
        if self._lock.acquire(timeout=timeout):
            self._source.close()
            self._lock.release()


class LiveFeed:
    """For live sources: a thread reads all the time, one frame waits, and a newer one takes its place."""

    def __init__(self, source: Source, limit: int | None) -> None:
        self._source, self._limit = source, limit
        self._slot: Slot[Frame] = Slot()
        self._lock = Lock()
        self.taken = 0
        self._thread = Thread(target=self._capture, name="edgeseg-capture", daemon=True)
        self.error: BaseException | None = None

    @property
    def captured(self) -> int:
        """Frames put into the slot."""
        return self._slot.put_count

    @property
    def dropped(self) -> int:
        """Frames that a newer one overtook, and the one that waited at the end."""
        return self._slot.dropped

    def start(self) -> None:
        """Start the capture thread."""
        self._thread.start()

    def take(self) -> tuple[int, Frame] | None:
        """Wait for the newest frame."""
        with self._lock:
            if self.taken == self._limit:
                self.stop()
            frame = self._slot.take()
            if frame is None:
                return None
            self.taken += 1
            return self.taken - 1, frame

    def stop(self) -> None:
        """Drop the waiting frame and every later one."""
        self._slot.close(discard=True)

    def close(self, timeout: float) -> None:
        """Wait for the capture thread, which closes the source itself; a blocked read is left behind."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        else:
            self._source.close()

    def _capture(self) -> None:
        try:
            while (frame := self._source.read()) is not None and self._slot.put(frame):
                pass
        except BaseException as error:  # raised by the stream once the frames before it are written
            self.error = error
        finally:
            self._slot.close(discard=False)
            self._source.close()
