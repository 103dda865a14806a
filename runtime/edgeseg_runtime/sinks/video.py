"""An annotated video."""

from __future__ import annotations

import glob
from contextlib import ExitStack, suppress
from pathlib import Path

import cv2

from edgeseg_runtime.claims import claimed, own
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import atomic_path
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sources.quiet import without_warnings

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""What OpenCV's wheel can write. It has no H.264 encoder."""

DEFAULT_FPS = 25.0
"""For sources that do not tell their rate."""


class VideoSink(Sink[Image]):
    """Writes annotated frames under a temporary name, which becomes the final one when the stream ends.

    What a killed process left under such a name, for the same final one, is deleted at the start.

    With `keep_time` a frame is repeated until the next one is due by its capture time, so that a live source that
    drops frames plays at its own pace; without, each frame is written once.
    """

    name = "video"
    backlog = 8

    def __init__(self, path: Path, fps: float = DEFAULT_FPS, *, keep_time: bool = False) -> None:
        if path.suffix.lower() not in CODECS:
            raise OutputError(f"--video writes {' or '.join(CODECS)} files, got {str(path)!r}")
        if path.is_dir():
            raise OutputError(f"--video: {path} is a folder")
        self._path, self._fps, self._keep_time = path, fps, keep_time
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._started, self._written = 0.0, 0
        self._file = ExitStack()
        self._temporary = path
        _delete_leftovers(path)

    def encode(self, shot: Shot) -> Image:
        """Draw the overlay."""
        return shot.picture

    def write(self, shot: Shot, encoded: Image) -> None:
        """Append the frame. Raises OutputError when its size is not the first one's."""
        size = (encoded.shape[1], encoded.shape[0])
        if self._writer is None:
            self._writer = self._open(size)
            self._started = shot.frame.captured_at
        if size != self._size:
            raise OutputError(
                f"{self._path}: a video has one size, but {shot.frame.name} is {size[0]}×{size[1]} "
                f"and the first frame was {self._size[0]}×{self._size[1]}"
            )
        for _ in range(self._due(shot.frame.captured_at)):
            self._writer.write(encoded)
            self._written += 1

    def close(self) -> None:
        """Finish the file and give it its name; no frame, no file. Raises OutputError if it could not be written."""
        if self._writer is None:
            return
        self._writer.release()
        try:
            if (held := self._frames_held()) < self._written:  # OpenCV says nothing of a write that failed
                self._file.__exit__(OutputError, OutputError(), None)
                raise OutputError(
                    f"{self._path} could not be written: {held} of its {self._written} frames can be read back; "
                    "is the disk full?"
                )
            self._file.close()
        except OSError as error:
            raise OutputError(f"{self._path} could not be written: {error.strerror}") from error

    def _frames_held(self) -> int:
        """Return how many frames the file's own header tells of; 0 where it cannot be opened."""
        with without_warnings():
            capture = cv2.VideoCapture(str(self._temporary), cv2.CAP_FFMPEG)
        held = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        return held

    def _due(self, captured_at: float) -> int:
        """Return how often to write a frame: once, or as often as brings the video up to the frame's time."""
        if not self._keep_time:
            return 1
        return max(0, round((captured_at - self._started) * self._fps) + 1 - self._written)

    def _open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        code = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        with ExitStack() as opening:
            temporary = opening.enter_context(atomic_path(self._path))
            try:
                opening.enter_context(own(temporary))
            except OSError as error:
                raise OutputError(f"{self._path} could not be written: {error.strerror}") from error
            writer = cv2.VideoWriter(str(temporary), cv2.CAP_FFMPEG, code, self._fps, size)
            if not writer.isOpened():
                raise OutputError(f"{self._path} cannot be written as a {size[0]}×{size[1]} video at {self._fps} fps")
            self._file, self._temporary, self._size = opening.pop_all(), temporary, size
        return writer


def _delete_leftovers(path: Path) -> None:
    """Delete the unfinished files of `path` that nobody writes any more: they have no index and do not play."""
    pattern = f".{glob.escape(path.stem)}.{'[0-9a-f]' * 8}.partial{glob.escape(path.suffix)}"
    for leftover in path.parent.glob(pattern):
        with suppress(OSError), claimed(leftover) as file:
            if file is not None:
                leftover.unlink()
