"""Encoded frames of one camera into segments, and what happens when the disk does not take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

from edgeseg_runtime import extras
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.recording.backoff import Backoff
from edgeseg_runtime.recording.encoder import Chunk, Encoder
from edgeseg_runtime.recording.muxer import Muxer
from edgeseg_runtime.recording.names import stamp
from edgeseg_runtime.recording.preroll import PreRoll
from edgeseg_runtime.recording.segment import Segment
from edgeseg_runtime.recording.shelf import Shelf

ROOM_BYTES = 4 << 20
"""Free space that a disk which was full must have before it is tried again."""

STEADY_SECONDS = 2.0
"""How long frames must have been written again before that is told: a disk that is full again at once is no news."""

Publish = Callable[..., None]
"""Takes an event's kind, and its data by name."""


@dataclass(frozen=True)
class Clocks:
    """Where the time comes from; tests put their own."""

    wall: Callable[[], float] = time
    monotonic: Callable[[], float] = monotonic


class Writer:
    """Writes frames, or holds the last ones back. Publishes `record.segment`, `.failed` and `.resumed`.

    Never raises for a disk: frames that cannot be written are lost, and it is tried again after a while.
    """

    def __init__(
        self, camera: str, seconds: float, ring_seconds: float, shelf: Shelf, publish: Publish, clocks: Clocks
    ) -> None:
        self._camera, self._seconds, self._shelf, self._publish = camera, seconds, shelf, publish
        self._clocks = clocks
        self._errors = (OSError, OutputError, extras.require("av", "live").FFmpegError)
        self._ring = PreRoll(ring_seconds)
        self._backoff = Backoff(clocks.monotonic)
        self._told: set[str] = set()
        """Causes told since the last time all was well."""
        self.segment: Segment | None = None
        """The file being written."""
        self.failing: str | None = None
        """Why nothing can be written; None while all is well."""

    @property
    def ready(self) -> bool:
        """Whether, after a failure, it is time to try again."""
        return self._backoff.ready

    def needs_key(self, now: float) -> bool:
        """Tell whether the frame of `now` must be a key frame, because a file or the pre-roll begins with it."""
        return self._ring.empty if self.segment is None else self.is_due(now)

    def is_due(self, now: float) -> bool:
        """Tell whether the file being written is long enough at `now`."""
        return self.segment is not None and now - self.segment.start >= self._seconds

    def held(self, now: float) -> float:
        """Return how many seconds from before `now` are held back."""
        return now - self._ring.chunks[0].time if not self._ring.empty else 0.0

    def hold(self, chunk: Chunk) -> None:
        """Keep a frame for a recording that may begin soon."""
        self._ring.push(chunk)

    def forget(self) -> None:
        """Drop what is held back."""
        self._ring.clear()

    def write(self, chunk: Chunk, encoder: Encoder, about: Mapping[str, Any]) -> bool:
        """Write a frame, after those held back; return whether that worked. `about` goes into a new file's metadata.

        A frame that was not written may still be saved, if the disk takes frames again within a second.
        """
        if chunk.key and self.is_due(chunk.time):
            self.finish()
        if self.segment is not None:
            self._put(self.segment, [chunk])
        elif not (self._backoff.ready and self._begin([*self._ring.chunks, chunk], encoder, about)):
            self._ring.push(chunk)
        if self.segment is not None and self.segment.frames:
            self._backoff.worked()
            self.failing = None
            if self._told and self._backoff.worked_for >= STEADY_SECONDS:
                self._told.clear()
                self._publish("record.resumed", name=self.segment.name)
        return self.segment is not None

    def finish(self) -> None:
        """Close the file being written."""
        segment, self.segment = self.segment, None
        if segment is None:
            return
        try:
            segment.finish()
        except self._errors as error:
            if not segment.broken:
                self.fail(error)
        if segment.kept:
            seconds = round(segment.end - segment.start, 3)
            data = {"name": segment.name, "seconds": seconds, "bytes": segment.size, "frames": segment.frames}
            self._publish("record.segment", **data)
        self._shelf.prune()

    def fail(self, error: Exception) -> None:
        """Wait for a while, and say why: each cause once, until all was well in between."""
        self._backoff.failed()
        reason, cause = str(error), repr(error)
        if isinstance(error, OSError) and error.strerror:
            reason, cause = f"{error.strerror}: {error.filename or self._shelf.folder}", error.strerror
        if cause not in self._told:
            self._publish("record.failed", reason=reason)
        self._told.add(cause)
        self.failing = reason

    def _begin(self, chunks: Sequence[Chunk], encoder: Encoder, about: Mapping[str, Any]) -> bool:
        """Write frames to a new file. Returns False if none of them got there."""
        at = self._clocks.wall() - (chunks[-1].time - chunks[0].time)
        try:
            if self.failing is not None:
                self._shelf.check_room(ROOM_BYTES)
                self._shelf.recover()  # what could not be given its name when it failed
            muxer = Muxer(encoder, {**about, "started": stamp(at)})
            self.segment = Segment(self._shelf.open(at, self._camera), muxer, chunks[0].time)
        except self._errors as error:
            self.fail(error)
            return False
        begun = self._put(self.segment, chunks)
        if begun:
            self._ring.clear()
        return begun

    def _put(self, segment: Segment, chunks: Sequence[Chunk]) -> bool:
        """Write frames. Returns False if it failed and the file was not worth keeping."""
        try:
            for chunk in chunks:
                segment.put(chunk)
        except self._errors as error:
            self.fail(error)
            self.finish()
            return segment.kept
        return True
