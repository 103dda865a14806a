"""From a small mask of an object to the frame's pixels: the only implementation there is."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import EMPTY, Region

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Patch:
    """An object's mask as the model gives it: coarse values on a grid over a rectangle of the frame.

    Cell (r, c) of the h×w grid has its centre at x = left + (c + 0.5) · width / w, y = top + (r + 0.5) · height / h,
    in pixels of the frame whose first pixel reaches from 0 to 1. Between the centres values are interpolated
    bilinearly, beyond the outer ones they go on as they are.
    """

    values: Values
    """float32 (h, w): probabilities, or scores of any scale with `threshold` to match."""
    left: float
    top: float
    width: float
    height: float
    threshold: float
    """Pixels whose value is larger belong to the object."""


def paste(patch: Patch, box: npt.NDArray[np.float32], height: int, width: int) -> Region:
    """Return the object's pixels in a height×width frame: those with their centre in `box` (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = (float(value) for value in box)
    left, right = max(0, ceil(x0 - 0.5)), min(width, floor(x1 - 0.5) + 1)
    top, bottom = max(0, ceil(y0 - 0.5)), min(height, floor(y1 - 0.5) + 1)
    if left >= right or top >= bottom:
        return EMPTY
    rows = _weights(top, bottom, patch.top, patch.height, patch.values.shape[0])
    columns = _weights(left, right, patch.left, patch.width, patch.values.shape[1])
    return Region(top, left, rows @ patch.values @ columns.T > patch.threshold)


def _weights(first: int, end: int, start: float, extent: float, cells: int) -> Values:
    """Return the (end - first, cells) matrix that interpolates cells at the centres of pixels `first` to `end`."""
    place = np.clip((np.arange(first, end) + 0.5 - start) * (cells / extent) - 0.5, 0, cells - 1)
    lower = np.minimum(place.astype(np.intp), max(cells - 2, 0))
    share = (place - lower).astype(np.float32)
    weights = np.zeros((end - first, cells), np.float32)
    number = np.arange(end - first)
    weights[number, lower] = 1 - share
    if cells > 1:
        weights[number, lower + 1] = share
    return weights
