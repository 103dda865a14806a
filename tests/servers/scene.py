"""Pictures that tell which one they are and when they were made, through any compression that leaves blocks visible."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from edgeseg_runtime.preprocess import Image

_ROWS, _COLUMNS = 8, 12
_DARK, _BRIGHT = 50, 200
_GLARE = 60


class Stamp(NamedTuple):
    """What a picture says about itself."""

    number: int
    made_at: float
    """Seconds on the monotonic clock, which all processes of a machine share; to the millisecond."""


@dataclass
class Scene:
    """What a camera looks at, and how it behaves. Tests change it while the camera runs."""

    size: tuple[int, int] = (96, 128)
    """(height, width)."""
    fps: float = 25.0
    gray: bool = False
    """One channel instead of three."""
    frozen: bool = False
    """The same picture for ever, its number and time included."""
    noise: float = 0.0
    """Standard deviation of the sensor's noise, in grey levels."""
    static: bool = False
    """Number and time stand still, and only the noise changes."""
    silent: bool = False
    """The connection stays open and nothing comes."""
    damage_every: int = 0
    """Every n-th frame is damaged on its way; 0: none."""
    status: int = 200
    """What the camera answers to a request; 404 for instance."""
    credentials: tuple[str, str] | None = None
    """(user, password) that it wants."""
    auth: str = "basic"
    """basic or digest."""
    burst: int = 0
    """Old pictures that it sends first, all at once, to every new viewer."""
    delay: float = 0.0
    """Seconds before it answers a request."""
    bright: bool = False
    """In glaring light: the brightest pixels are white, and only then."""
    black: bool = False
    """Nothing but black, with a frame rate all the same."""

    def picture(self, stamp: Stamp) -> Image:
        """Draw the stamp, uint8 H×W×3 BGR."""
        if self.black:
            return np.zeros((*self.size, 3), np.uint8)
        image = draw(Stamp(0, 0.0) if self.static or self.frozen else stamp, self.size)
        if self.bright:
            image = np.minimum(image, 255 - _GLARE) + np.uint8(_GLARE)
        if self.noise and not self.frozen:
            noise = np.random.default_rng(stamp.number).normal(0, self.noise, image.shape)
            image = np.clip(image + noise, 0, 255).round().astype(np.uint8)
        return image


def now(number: int) -> Stamp:
    return Stamp(number, time.monotonic())


def draw(stamp: Stamp, size: tuple[int, int]) -> Image:
    """Draw number, time and a checksum as dark and bright blocks over a coloured slope."""
    payload = stamp.number.to_bytes(4, "big") + round(stamp.made_at * 1000).to_bytes(5, "big")
    bits = np.unpackbits(np.frombuffer(payload + _check(payload), np.uint8))
    blocks = np.where(bits, _BRIGHT, _DARK).astype(np.uint8).reshape(_ROWS, _COLUMNS)
    height, width = size
    image = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)
    slope = np.linspace(0, 30, width, dtype=np.uint8)
    return np.stack([image + slope, image, image - slope], axis=-1)


def read(image: Image) -> Stamp | None:
    """Return what a picture says, None where the checksum does not hold: it is damaged, black, or of another kind."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    cells = cv2.resize(grey, (_COLUMNS * 5, _ROWS * 5), interpolation=cv2.INTER_AREA)
    middles = cells.reshape(_ROWS, 5, _COLUMNS, 5)[:, 1:4, :, 1:4].mean(axis=(1, 3))
    data = np.packbits(middles.ravel() > (_DARK + _BRIGHT) / 2).tobytes()
    if data[9:] != _check(data[:9]):
        return None
    return Stamp(int.from_bytes(data[:4], "big"), int.from_bytes(data[4:9], "big") / 1000)


def _check(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(4, "big")[:3]
