"""Cameras of this machine, read through OpenCV."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgeseg_runtime.capture.complaints import printed, tells_of_damage
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.reader import Picture
from edgeseg_runtime.capture.states import Lost

if TYPE_CHECKING:
    from edgeseg_runtime.preprocess import Image


class DeviceReader:
    """An open camera: by number, or by its path, which stays the same when it is plugged in again
    (`/dev/v4l/by-id/...`).
    """

    def __init__(self, spec: str, options: CaptureOptions) -> None:
        """Open it. Raises Lost."""
        # OpenCV reads this once, when it first waits for a camera; its own default is 10 s.
        os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = str(math.ceil(options.read_timeout))
        from edgeseg_runtime.errors import SourceError
        from edgeseg_runtime.sources.capture import open_camera

        self._device = device_path(spec)
        self._error = SourceError
        try:
            self._source = open_camera(device_number(self._device))
        except SourceError as error:
            raise Lost(_why_not_opened(self._device), str(error)) from None
        self._printed = printed()
        self.fps = self._source.fps
        self.damaged, self.late = 0, 0

    def read(self) -> Picture | None:
        """Wait for the next frame; None where it is damaged. Raises Lost."""
        self._printed.take()
        try:
            frame = self._source.read()
        except self._error as error:
            raise Lost("no frames" if self._device.exists() else "unplugged", str(error)) from None
        if frame is None:
            raise Lost("unplugged", "the camera ended the stream")
        if tells_of_damage(self._printed.take()):
            self.damaged += 1
            return None
        return Picture(as_bgr(frame.image), frame.captured_at, None)

    def close(self) -> None:
        """Let go of the device."""
        self._source.close()


def device_path(spec: str) -> Path:
    """Return the device that a number or a path names."""
    return Path(f"/dev/video{spec}") if spec.isdigit() else Path(spec)


def device_number(device: Path) -> int:
    """Return the number of `/dev/videoN`, by way of links if need be. Raises Lost where there is none."""
    if not device.exists():
        raise Lost("not found", f"there is no {device}")
    digits = device.resolve().name.removeprefix("video")
    if not digits.isdigit():
        raise Lost("not found", f"{device} is no video device")
    return int(digits)


def as_bgr(image: Image) -> Image:
    """Return a picture of one, three or four channels as uint8 H×W×3, BGR."""
    import cv2

    if image.ndim == 2 or image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    if image.shape[2] == 4:
        return cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)  # type: ignore[return-value]
    return image


def _why_not_opened(device: Path) -> Literal["not found", "busy", "error"]:
    if not device.exists():
        return "not found"
    return "busy" if os.access(device, os.R_OK | os.W_OK) else "error"
