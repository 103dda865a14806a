"""A picture of which only coarse averages are left."""

from __future__ import annotations

import cv2

from edgeseg_runtime.preprocess import Image

CELLS = 8
"""Averages along the frame's shorter side: a face as high as the frame is then eight values high."""


def coarse(image: Image, cells: int = CELLS) -> Image:
    """Return the picture pixelated to `cells` averages along its shorter side, and smoothed between them.

    uint8 H×W×3 in and out. It is made from the averages alone, so nothing finer can be computed back from one picture.
    A fixed camera that sees the same thing move for long gives many different averages of it; that is a bound of every
    such blur.
    """
    height, width = image.shape[:2]
    cell = max(1.0, min(height, width) / cells)
    size = max(1, round(width / cell)), max(1, round(height / cell))
    while min(image.shape[:2]) >= 16 * cells:  # halving is so much faster that it pays to begin with it
        even = image[: image.shape[0] & ~1, : image.shape[1] & ~1]
        image = cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]
