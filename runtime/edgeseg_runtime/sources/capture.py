"""What OpenCV's VideoCapture reads: cameras and network streams here, files in `video_file`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from time import monotonic
from typing import cast
from urllib.parse import urlsplit

import cv2

from edgeseg_runtime.errors import SourceError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.sources.base import Frame, without_credentials
from edgeseg_runtime.sources.quiet import without_warnings

URL_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp", "srt")

TIMEOUT_MS = 5000
"""How long a network stream may keep silent; OpenCV would wait for 30 seconds."""


class CaptureSource:
    """Frames from an open VideoCapture."""

    def __init__(self, capture: cv2.VideoCapture, title: str, *, live: bool) -> None:
        self.title, self.live = title, live
        self._capture = capture
        self._index, self._first = 0, 0.0
        height, width = self._number(cv2.CAP_PROP_FRAME_HEIGHT), self._number(cv2.CAP_PROP_FRAME_WIDTH)
        self.size = (int(height), int(width)) if height and width else None
        self.fps = self._number(cv2.CAP_PROP_FPS)
        length = None if live else self._number(cv2.CAP_PROP_FRAME_COUNT)
        self.length = int(length) if length else None
        self.remarks: list[str] = []

    def read(self) -> Frame | None:
        """Return the next frame, None at the end of a recording.

        Raises SourceError when there is no first frame, or when a live source falls silent.
        """
        found, image = self._capture.read()
        now = monotonic()
        if not found:
            self._ended()
            return None
        if self._index == 0:
            self._first = now
        position = now - self._first if self.live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        frame = Frame(self._index, cast(Image, image), now, position, f"{self._index:06d}")
        self._index += 1
        return frame

    def close(self) -> None:
        """Release the device or file."""
        self._capture.release()

    def _ended(self) -> None:
        if self._index == 0:
            raise SourceError(
                f"{self.title} opened but gave no frame: it is damaged, or this OpenCV cannot decode its codec "
                f"({self._codec()}); convert it with: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4"
                if not self.live
                else f"{self.title} opened but gave no frame"
            )
        if self.live:
            raise SourceError(f"{self.title} stopped after {self._index} frames: it was unplugged, closed or stalled")
        if self.length is not None and self._index < self.length:
            self.remarks.append(
                f"{self.title} declares {self.length} frames but gave {self._index}: it is cut off or damaged"
            )

    def _codec(self) -> str:
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        return code.decode("ascii", "replace") if code.isalnum() else "unknown"

    def _number(self, prop: int) -> float | None:
        """Return a property that OpenCV gives as 0, negative or nan where it does not know it."""
        value = self._capture.get(prop)
        return value if math.isfinite(value) and value > 0 else None


def open_camera(index: int) -> CaptureSource:
    """Open a camera of this machine by number. Raises SourceError naming the cameras there are."""
    if index < 0:
        raise SourceError(f"cameras are numbered from 0, got {index}")
    with without_warnings():
        capture = cv2.VideoCapture(index, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    # The driver's own queue would serve frames that are already old.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if not capture.isOpened():
        present = ", ".join(cameras()) or "none"
        raise SourceError(f"camera {index} cannot be opened; cameras on this machine: {present}")
    return CaptureSource(capture, f"camera {index}", live=True)


def cameras() -> list[str]:
    """Return the video devices that Linux shows."""
    return sorted(str(device) for device in Path("/dev").glob("video*"))


def open_url(url: str) -> CaptureSource:
    """Open a network stream. One that declares its length is a recording, and not live.

    Raises SourceError; no message holds the URL's credentials.
    """
    shown = without_credentials(url)
    if urlsplit(url).scheme.lower() not in URL_SCHEMES:
        raise SourceError(f"{shown}: streams are read over {', '.join(URL_SCHEMES)}")
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
    with without_warnings():
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(f"{shown} cannot be opened: nobody answers within {TIMEOUT_MS // 1000} s, or it is no video")
    return CaptureSource(capture, shown, live=not capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0)
