"""A small copy of a frame, in colour, that all temporal tricks share."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.preprocess import Image, check_frame

Thumbnail: TypeAlias = npt.NDArray[np.uint8]
"""uint8 h×w×3, B, G, R."""

WIDTH = 160
"""Columns of a thumbnail; narrower frames keep their own width."""


def thumbnail(image: Image) -> Thumbnail:
    """Return a copy WIDTH columns wide with the frame's aspect ratio.

    Bilinear to twice the size, then means of 2×2: a sixth of the time of averaging all pixels of a 720p frame, and what
    falls between the samples is no larger than what a model's own bilinear resize misses. Raises FrameError for
    anything but uint8 H×W×3.
    """
    check_frame(image)
    height, width = image.shape[:2]
    if width <= WIDTH:
        return image.copy()
    rows = max(1, round(height * WIDTH / width))
    if width > 2 * WIDTH:
        image = cv2.resize(image, (2 * WIDTH, 2 * rows), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return cv2.resize(image, (WIDTH, rows), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
