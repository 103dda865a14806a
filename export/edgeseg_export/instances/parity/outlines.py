"""Small pictures for the report: frames with the outlines of objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_export.parity.tiles import WIDTH, photo
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.preprocess import Image

Color = tuple[int, int, int]
"""B, G, R."""
Contour = npt.NDArray[np.int32]
"""(points, 1, 2): x and y."""


def outlined(frame: Image, objects: Iterable[tuple[Region, Color]]) -> str:
    """Return the frame, shrunk if it is large, with objects outlined in their colours, as a data URI."""
    scale = min(1.0, WIDTH / frame.shape[1])
    size = (round(frame.shape[1] * scale), max(1, round(frame.shape[0] * scale)))
    canvas = cv2.resize(frame, size, interpolation=cv2.INTER_AREA) if scale < 1 else frame.copy()
    for region, color in objects:
        # closed, so that an object of one pixel is seen too
        cv2.polylines(canvas, [_scaled(contour, scale) for contour in _contours(region)], True, color, 1, cv2.LINE_AA)
    return photo(canvas)  # type: ignore[arg-type]


def dimmed(frame: Image) -> Image:
    """Return the frame in dark grey, for colours to stand out from."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor((grey * 0.4).astype(np.uint8), cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]


def _contours(region: Region) -> Sequence[Contour]:
    if not region.inside.size:
        return []
    found, _ = cv2.findContours(
        region.inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(region.left, region.top)
    )
    return found  # type: ignore[return-value]


def _scaled(contour: Contour, scale: float) -> Contour:
    scaled: Contour = np.rint((contour + 0.5) * scale - 0.5).astype(np.int32)
    return scaled
