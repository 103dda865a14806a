"""Damage done on purpose, and a decoder that notices nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import cast

import av
import cv2
import numpy as np

from edgeseg_runtime.preprocess import Image
from tests.servers.scene import Stamp, draw

START = b"\x00\x00\x00\x01"


def jpeg(number: int = 1, size: tuple[int, int] = (240, 320), quality: int = 90) -> bytes:
    """A picture with some noise, as cameras' have it; the same each time."""
    image = draw(Stamp(number, number / 25), size)
    noise = np.random.default_rng(number).normal(0, 6, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def cut(data: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return data[: len(data) // 2 + chance.randrange(len(data) // 3)]


def without_a_piece(data: bytes, chance: random.Random) -> bytes:
    """A piece in the middle is missing."""
    start = len(data) // 3 + chance.randrange(len(data) // 3)
    return data[:start] + data[start + 100 :]


def overwritten(data: bytes, chance: random.Random) -> bytes:
    """A piece in the middle is something else."""
    start = len(data) // 3 + chance.randrange(len(data) // 3)
    return data[:start] + chance.randbytes(100) + data[start + 100 :]


class H264Decoder:
    """FFmpeg's, with none of our settings: it gives out damaged frames as well."""

    def __init__(self) -> None:
        self._context = av.CodecContext.create("h264", "r")
        self._context.thread_count = 1

    def frames(self, units: Sequence[bytes]) -> list[av.VideoFrame]:
        """Decode the NAL units of one picture; none where even this decoder gives up."""
        try:
            return self._context.decode(av.Packet(access_unit(units)))
        except av.FFmpegError:
            return []

    def decode(self, units: Sequence[bytes]) -> list[Image]:
        """Return them as uint8 H×W×3, BGR."""
        return [cast("Image", frame.to_ndarray(format="bgr24")) for frame in self.frames(units)]


def access_unit(units: Sequence[bytes]) -> bytes:
    """Join NAL units as a decoder wants them."""
    return b"".join(START + unit for unit in units)
