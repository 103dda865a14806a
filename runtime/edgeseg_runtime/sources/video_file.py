"""Video files: decoded on one thread, or on all of them where that is what everything waits for."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import cv2

from edgeseg_runtime.errors import SourceError
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.sources.capture import CaptureSource
from edgeseg_runtime.sources.quiet import without_warnings

WINDOW_SECONDS = 0.5
BOTTLENECK = 0.8
"""Share of the time spent on reading from which on reading is what holds a stream up."""

_EVERY_CORE = 0


class VideoFile(CaptureSource):
    """Every frame of a file, once, in order.

    A decoder with threads of its own takes turns on the cores with whoever works on the frames, and the reader sleeps
    till it is through: small frames for a fast model come 10 % slower than from a decoder that runs where it is asked.
    Large frames are another matter, and how large is large depends on the model and the machine. So one thread decodes
    to begin with; where reading then takes most of the time, the file is opened again at the same frame, for all cores.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(_open(path, 1), str(path), live=False)
        self._path = path
        self._alone = True
        self._since, self._reading = perf_counter(), 0.0

    def read(self) -> Frame | None:
        """Return the next frame, None at the end. Raises SourceError when there is no first frame."""
        if not self._alone:
            return super().read()
        started = perf_counter()
        frame = super().read()
        now = perf_counter()
        self._reading += now - started
        if now - self._since >= WINDOW_SECONDS:
            if frame is not None and self._reading > BOTTLENECK * (now - self._since):
                self._decode_on_every_core()
            self._since, self._reading = perf_counter(), 0.0
        return frame

    def _decode_on_every_core(self) -> None:
        """Go on with a decoder that has threads, unless it does not get to where this one is."""
        self._alone = False
        try:
            capture = _open(self._path, _EVERY_CORE)
        except SourceError:
            return
        with without_warnings():
            arrived = all(capture.grab() for _ in range(self._index))
        if arrived:
            self._capture, capture = capture, self._capture
        capture.release()


def open_video(path: Path, decoder_threads: int | None = None) -> CaptureSource:
    """Open a video file, for as many decoder threads as it takes or for those given. Raises SourceError."""
    if decoder_threads is None:
        return VideoFile(path)
    return CaptureSource(_open(path, decoder_threads), str(path), live=False)


def _open(path: Path, threads: int) -> cv2.VideoCapture:
    options = [cv2.CAP_PROP_N_THREADS, threads] if threads else []
    with without_warnings():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        raise SourceError(f"{path} cannot be opened as a video: it is damaged, or not a video")
    return capture
