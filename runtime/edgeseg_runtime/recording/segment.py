"""One file of a recording, from its first frame to its final name."""

from __future__ import annotations

from edgeseg_runtime.recording.encoder import Chunk
from edgeseg_runtime.recording.muxer import Muxer
from edgeseg_runtime.recording.partial import PartialFile


class Segment:
    """Frames on their way into one file. `put` and `finish` raise OSError and av.FFmpegError."""

    def __init__(self, file: PartialFile, muxer: Muxer, start: float) -> None:
        self._file, self._muxer = file, muxer
        self._taken = 0
        self.start, self.end = start, start
        """Times of the first and the last frame, seconds."""
        self.frames = 0
        """Frames that would be read from the file as it is now."""
        self.broken = False
        """A frame could not be written; all that can be done is to finish."""
        self.kept = False
        """It has its final name."""

    @property
    def name(self) -> str:
        """Its final name."""
        return self._file.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._file.size

    def put(self, chunk: Chunk) -> None:
        """Write a frame."""
        self.broken = True
        self._file.write(self._muxer.put(chunk))
        self.broken = False
        self.frames, self._taken = self._taken, self._taken + 1
        self.end = chunk.time

    def finish(self) -> None:
        """Give the file its name, or delete it if no frame is in it.

        Where the end of the file cannot be written, it is kept without, and plays up to the last frame that could be.
        """
        try:
            if not self.broken:
                self._file.write(self._muxer.finish())
                self.frames = self._taken
        finally:
            if self.frames:
                self._file.finish()
                self.kept = True
            else:
                self._file.discard()
