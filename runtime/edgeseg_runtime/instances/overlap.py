"""How much objects overlap: the share of what two of them cover together that both cover (IoU)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import Region

Shares = npt.NDArray[np.float64]
_CELLS = 48
"""Rows and columns of a common window that are looked at: enough for whom to take for whom, at any size."""


def box_overlap(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> Shares:
    """Return the IoU of every box of (n, 4) with every one of (m, 4), left, top, right, bottom: (n, m) in 0..1."""
    first, second = one.astype(np.float64)[:, None], other.astype(np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = np.prod(np.maximum(sides, 0), axis=-1)
    both = _area(first) + _area(second) - common
    shares: Shares = np.divide(common, both, out=np.zeros_like(common), where=both > 0)
    return shares


def region_overlap(one: Region, other: Region, shift: tuple[int, int] = (0, 0)) -> float:
    """Return the IoU of two regions, the first moved by (rows, columns). 0 where neither has a pixel.

    In large windows the common pixels are counted in every k-th row and column, which is exact to about a percent.
    """
    common = _common(one, other, shift)
    total = one.area + other.area - common
    return min(1.0, common / total) if total > 0 else 0.0


def _common(one: Region, other: Region, shift: tuple[int, int]) -> float:
    """Return how many pixels two regions share, the first moved."""
    top, left = one.top + shift[0], one.left + shift[1]
    first, last = max(top, other.top), min(top + one.inside.shape[0], other.top + other.inside.shape[0])
    start, end = max(left, other.left), min(left + one.inside.shape[1], other.left + other.inside.shape[1])
    if first >= last or start >= end:
        return 0.0
    down, across = -(-(last - first) // _CELLS), -(-(end - start) // _CELLS)
    rows, columns = slice(first + down // 2, last, down), slice(start + across // 2, end, across)
    mine = one.inside[_moved(rows, top), _moved(columns, left)]
    theirs = other.inside[_moved(rows, other.top), _moved(columns, other.left)]
    looked_at: float = mine.size / ((last - first) * (end - start))
    return int(np.count_nonzero(mine & theirs)) / looked_at


def regions_overlap(
    one: Sequence[Region],
    other: Sequence[Region],
    shifts: npt.NDArray[np.intp],
    boxes: Shares,
) -> Shares:
    """Return, for each pair whose boxes overlap, the IoU of their pixels, that of the boxes where one has none.

    `shifts` (n, 2): by how many rows and columns each of the first is moved; `boxes` (n, m): the boxes' IoU.
    """
    shares = boxes.copy()
    areas, others = [region.area for region in one], [region.area for region in other]
    for row, column in np.argwhere(boxes > 0).tolist():
        if areas[row] and others[column]:
            common = _common(one[row], other[column], (int(shifts[row, 0]), int(shifts[row, 1])))
            shares[row, column] = min(1.0, common / (areas[row] + others[column] - common))
    return shares


def _moved(window: slice, by: int) -> slice:
    return slice(window.start - by, window.stop - by, window.step)


def _area(boxes: npt.NDArray[np.float64]) -> Shares:
    areas: Shares = np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)
    return areas
