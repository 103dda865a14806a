"""What keys do to the windows of a stream, and the words that are written into them. Needs no display."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edgeseg_runtime.preprocess import Image

HELP = (
    "q or Esc: end the stream",
    "space: hold the picture; the stream runs on",
    "m: mask on and off",
    "+ and -: opacity of the mask",
    "s: keep the picture and its mask",
    "h: this help",
)

OPACITY_STEP = 0.1
_ROWS, _COLUMNS = 480, 1920
"""Below so many rows words could hardly be read, so the picture is enlarged, though not beyond so many columns."""
_FONT, _INK, _PAPER = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), 0.35


class View:
    """How pictures are to be shown, as the keys have it."""

    def __init__(self, opacity: float) -> None:
        self._opacity = opacity
        self._masked = True
        self.held = False
        """Whether the picture stays as it is."""
        self.helping = False
        self.over = False
        """Whether whoever looks wants no more."""
        self.keep = False
        """Whether the picture is to be kept; taken back by whoever does it."""

    @property
    def opacity(self) -> float:
        """Of the mask's colours, 0..1; 0 where it is off."""
        return self._opacity if self._masked else 0.0

    def press(self, key: int) -> bool:
        """Follow a key, as OpenCV gives it (its low byte is the letter, below 0 is none); False if it means nothing."""
        letter = chr(key & 0xFF) if key >= 0 else ""
        if letter in ("q", "\x1b"):
            self.over = True
        elif letter == " ":
            self.held = not self.held
        elif letter == "m":
            self._masked = not self._masked
        elif letter in ("+", "=", "-", "_"):  # the same keys with and without shift
            step = OPACITY_STEP if letter in "+=" else -OPACITY_STEP
            self._opacity = round(min(1.0, max(0.0, self._opacity + step)), 2)
            self._masked = True
        elif letter == "s":
            self.keep = True
        elif letter == "h":
            self.helping = not self.helping
        else:
            return False
        return True


def with_words(picture: Image, lines: Sequence[str]) -> Image:
    """Return a copy of the picture, or of an enlarged one if it is small, with lines of text in its upper left."""
    factor = max(1, min(-(-_ROWS // picture.shape[0]), _COLUMNS // picture.shape[1]))
    large = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    height, width = large.shape[:2]
    plain = [line.encode("ascii", "replace").decode() for line in lines]  # OpenCV's letters
    (widest, tall), base = max((cv2.getTextSize(line, _FONT, 1.0, 1) for line in plain), key=lambda size: size[0][0])
    row = 1.6 * (tall + base)
    scale = min(height / 720, 0.9 * width / widest, 0.9 * height / (row * len(plain)))
    margin, row = round(0.5 * row * scale), row * scale
    box = large[: min(height, round(row * len(plain)) + 2 * margin), : min(width, round(widest * scale) + 2 * margin)]
    box[:] = (box * _PAPER).astype(np.uint8)
    for number, line in enumerate(plain, 1):
        place = margin, round(margin + number * row - 0.3 * row)
        cv2.putText(large, line, place, _FONT, scale, _INK, 1, cv2.LINE_AA)
    return large  # type: ignore[return-value]
