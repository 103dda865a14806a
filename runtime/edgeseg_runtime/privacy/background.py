"""Keep chosen classes, and blur or replace what is behind them."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Image, Mask, check_frame
from edgeseg_runtime.privacy.coarse import coarse
from edgeseg_runtime.privacy.trust import check_classes, doubt, pixels_of
from edgeseg_runtime.sinks.base import Shot

Replacement: TypeAlias = "tuple[int, int, int] | Image | None"
"""What comes in place of the background: a colour (R, G, B), a picture (BGR, cut to the frame's shape), or None: a
blurred version of itself."""

_CELLS = 12


class Background:
    """`background(shot, now)` returns the picture with only the classes as they are.

    The edge fades inwards over `feather` (a share of the frame's shorter side), so that no pixel outside the mask
    shines through. Where the mask is not to be relied on (none, older than `max_age` seconds, a class unknown to the
    model that serves) nothing is kept; a call that raises gave no picture, and the frame must not be shown as it is.
    Raises ConfigError, and FrameError for a replacement that is no picture.
    """

    def __init__(
        self,
        classes: Collection[str],
        contract: Contract,
        replacement: Replacement = None,
        *,
        feather: float = 0.01,
        max_age: float = 0.3,
    ) -> None:
        if not (0 <= feather <= 0.5 and 0 <= max_age <= 10):
            raise ConfigError(f"feather must be in 0..0.5 and max_age in 0..10, got {feather:g} and {max_age:g}")
        self._classes = check_classes(classes, contract)
        self._replacement = _checked(replacement)
        self._feather, self._max_age = feather, max_age
        self._fitted: Image | None = None
        self.closed_because: str | None = None
        """Why nothing was kept of the last picture; None if it was."""

    def __call__(self, shot: Shot, now: float) -> Image:
        """Return the picture, uint8 H×W×3; `now` is on the monotonic clock. Raises FrameError."""
        image = shot.frame.image
        self.closed_because = doubt(shot, self._classes, now, self._max_age)
        behind = self._behind(image)
        if self.closed_because is not None:
            return behind.copy()
        kept = pixels_of(shot, self._classes, unclear=False)
        return mixed(image, behind, kept, edge(kept, self._feather * min(kept.shape)))

    def _behind(self, image: Image) -> Image:
        if self._replacement is None:
            return coarse(image, _CELLS)
        fitted = self._fitted  # cameras of several sizes may share this object
        if fitted is None or fitted.shape != image.shape:
            fitted = self._fitted = cover(self._replacement, image.shape[0], image.shape[1])
        return fitted


def edge(kept: Mask, pixels: float) -> npt.NDArray[np.float32]:
    """Return how much of each pixel is kept (0..1, float32): rising over `pixels` from the border inwards."""
    if pixels < 1:
        return (kept > 0).astype(np.float32)
    distance = cv2.distanceTransform(kept, cv2.DIST_L2, cv2.DIST_MASK_5)
    rising: npt.NDArray[np.float32] = np.minimum(distance * np.float32(1 / pixels), np.float32(1))
    return rising


def mixed(image: Image, behind: Image, kept: Mask, alpha: npt.NDArray[np.float32]) -> Image:
    """Return `image` where it is kept and `behind` elsewhere, blended where `alpha` is between 0 and 1."""
    picture: Image = cv2.copyTo(image, kept, behind.copy())  # type: ignore[assignment]
    band = np.flatnonzero((alpha > 0) & (alpha < 1))  # few pixels: blending them all costs ten times as much
    share = alpha.ravel()[band, None]
    front, back = image.reshape(-1, 3)[band], behind.reshape(-1, 3)[band]
    picture.reshape(-1, 3)[band] = np.rint(front * share + back * (1 - share)).astype(np.uint8)
    return picture


def cover(picture: Image, height: int, width: int) -> Image:
    """Return the middle of `picture`, as large as the shape of `height`×`width` allows, at that size."""
    rows, columns = picture.shape[:2]
    scale = max(height / rows, width / columns)
    high, wide = min(rows, math.ceil(height / scale)), min(columns, math.ceil(width / scale))
    top, left = (rows - high) // 2, (columns - wide) // 2
    cut = picture[top : top + high, left : left + wide]
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _checked(replacement: Replacement) -> Image | None:
    if replacement is None:
        return None
    if isinstance(replacement, np.ndarray):
        check_frame(replacement)
        return replacement
    color = replacement
    if len(color) != 3 or not all(0 <= value <= 255 for value in color):
        raise ConfigError(f"a background colour is three values in 0..255, got {color}")
    return np.array(color[::-1], np.uint8).reshape(1, 1, 3)
