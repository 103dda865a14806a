"""Pictures as a camera of this machine, through Linux's v4l2loopback.

Written from the kernel's header (linux/videodev2.h); no device was at hand to run it against.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Callable

import cv2

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.sinks.base import Shot, Sink

VIDIOC_QUERYCAP, VIDIOC_S_FMT = 0x80685600, 0xC0D05605
CAN_OUTPUT = 0x00000002  # V4L2_CAP_VIDEO_OUTPUT
_BUF_TYPE_OUTPUT, _FIELD_NONE, _COLORSPACE_SRGB = 2, 1, 8
_I420 = int.from_bytes(b"YU12", "little")
_FORMAT = struct.Struct("=I4x7I172x")
"""struct v4l2_format: type, and of v4l2_pix_format width, height, pixelformat, field, bytesperline, sizeimage,
colorspace."""
_CAPABILITY = struct.Struct("=16s32s32s3I12x")


class VirtualCameraSink(Sink[Image]):
    """Writes pictures to a v4l2loopback device, as planar YUV 4:2:0. Raises OutputError where there is none.

    What is shown is `picture(shot)`: the annotated picture, or for instance one with another background. The first one
    sets the size, less its last row and column where they are odd.
    """

    name = "virtual camera"

    def __init__(self, device: str, picture: Callable[[Shot], Image] = lambda shot: shot.picture) -> None:
        self._device, self._picture = device, picture
        self._shape: tuple[int, ...] = ()
        self._fd = _open(device)

    def encode(self, shot: Shot) -> Image:
        """Convert the picture: uint8 (3/2 H)×W, the planes one below the other."""
        picture = self._picture(shot)
        even = picture[: picture.shape[0] & ~1, : picture.shape[1] & ~1]
        return cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420)  # type: ignore[return-value]

    def write(self, shot: Shot, encoded: Image) -> None:  # noqa: ARG002
        """Write one frame. Raises OutputError."""
        try:
            if not self._shape:
                self._set_format(encoded.shape[0] * 2 // 3, encoded.shape[1], encoded.size)
                self._shape = encoded.shape
            if encoded.shape != self._shape:
                raise OutputError(f"{self._device} shows another size already; restart the stream for the new one")
            os.write(self._fd, encoded.tobytes())
        except OSError as error:
            raise OutputError(f"{self._device} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the device. May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _set_format(self, height: int, width: int, length: int) -> None:
        wanted = (_BUF_TYPE_OUTPUT, width, height, _I420, _FIELD_NONE, width, length, _COLORSPACE_SRGB)
        answer = _FORMAT.unpack(fcntl.ioctl(self._fd, VIDIOC_S_FMT, _FORMAT.pack(*wanted)))
        if answer[1:4] != wanted[1:4]:
            raise OutputError(f"{self._device} does not take {width}×{height} pixels of YUV 4:2:0")


def _open(device: str) -> int:
    try:
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise OutputError(f"{device} cannot be opened: {error.strerror}; {_HINT}") from error
    try:
        if not stat.S_ISCHR(os.fstat(fd).st_mode):
            raise OutputError(f"{device} is no device; {_HINT}")
        if not _CAPABILITY.unpack(fcntl.ioctl(fd, VIDIOC_QUERYCAP, bytes(_CAPABILITY.size)))[4] & CAN_OUTPUT:
            raise OutputError(f"{device} is a camera that takes no pictures; {_HINT}")
    except OSError as error:
        os.close(fd)
        raise OutputError(f"{device} is no video device; {_HINT}") from error
    except OutputError:
        os.close(fd)
        raise
    return fd


_HINT = "a virtual camera needs the v4l2loopback module: sudo modprobe v4l2loopback exclusive_caps=1"
