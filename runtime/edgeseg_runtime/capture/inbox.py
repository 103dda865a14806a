"""The newest frame of a camera, on the parent's side."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from edgeseg_runtime.capture.ring import Ring
from edgeseg_runtime.sources.base import Frame


@dataclass(frozen=True)
class Note:
    """Where the newest frame lies."""

    ring: Ring
    number: int
    """Its number in the ring."""
    index: int
    """Its number over all connections and workers."""
    at: float
    position: float | None


class Inbox:
    """Filled by the thread that listens to the worker, read by any other."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._lock = Lock()
        self._note: Note | None = None
        self.captured = 0
        """Frames that came, over all connections and workers."""

    def put(self, ring: Ring, number: int, index: int, at: float, position: float | None) -> None:
        """Note a frame."""
        with self._lock:
            self._note = Note(ring, number, index, at, position)
            self.captured = index + 1

    def clear(self) -> None:
        """Forget the newest frame: it is no longer what the camera sees."""
        with self._lock:
            self._note = None

    def newest(self, after: int) -> Frame | None:
        """Copy the newest frame out if its index is above `after`. Does not wait.

        None also where the worker has just overwritten it: then the news of a newer one is on its way.
        """
        note: Note | None = None
        while True:
            before = note
            with self._lock:
                note = self._note
            if note is None or note is before or note.index <= after:
                return None
            image = note.ring.read(note.number)
            if image is not None:
                return Frame(note.index, image, note.at, note.position, f"{note.index:06d}", self._camera)
