"""How much objects overlap: the share of what two of them cover together that both cover (IoU)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import Region

Shares = npt.NDArray[np.float64]
_CELLS = 48
"""Rows and columns of a common window that are looked at: enough for whom to take for whom, at any size."""
_ROUNDING = 1 + 1e-9
"""What is at most must not be less by what was rounded."""


def box_overlap(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> Shares:
    """Return the IoU of every box of (n, 4) with every one of (m, 4), left, top, right, bottom: (n, m) in 0..1."""
    first, second = one.astype(np.float64)[:, None], other.astype(np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    sides = np.maximum(sides, 0)
    common = sides[..., 0] * sides[..., 1]
    both = _area(first) + _area(second) - common
    shares: Shares = np.divide(common, both, out=np.zeros_like(common), where=both > 0)
    return shares


def region_overlap(one: Region, other: Region, shift: tuple[int, int] = (0, 0)) -> float:
    """Return the IoU of two regions, the first moved by (rows, columns). 0 where neither has a pixel.

    In large windows the common pixels are counted in every k-th row and column, which is exact to about a percent; more
    than either region has, they are never taken for.
    """
    common = min(_common(one, other, shift), one.area, other.area)
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


class RegionOverlaps:
    """The IoU of the pixels of each pair whose boxes overlap, that of the boxes where one of the two has no pixel.

    To count common pixels takes time: so what a pair's IoU is at most, by the size of both and of what their boxes have
    in common, is known of all, and what it is, of those asked for. Less than `least` is taken for 0.
    """

    def __init__(
        self,
        one: Sequence[Region],
        other: Sequence[Region],
        shifts: npt.NDArray[np.intp],
        boxes: Shares,
        least: float = 0.0,
    ) -> None:
        """`shifts` (n, 2): by how many rows and columns each of the first is moved; `boxes` (n, m): the boxes' IoU."""
        self._one, self._other, self._shifts, self._boxes, self._least = one, other, shifts, boxes, least
        areas, others = _areas(one)[:, None], _areas(other)[None]
        common = np.minimum(_common_windows(one, other, shifts), np.minimum(areas, others))
        union = areas + others - common
        share = np.divide(common, union, out=np.ones_like(common), where=union > common)
        self.most: Shares = np.where(areas * others > 0, np.minimum(share, 1) * _ROUNDING, boxes) * (boxes > 0)
        """(n, m): what it is at most; 0 where the boxes do not overlap."""
        self.most[self.most < least] = 0

    def exact(self, row: int, column: int) -> float:
        """Return it for a pair whose boxes overlap, exact to about a percent where windows are large."""
        one, other = self._one[row], self._other[column]
        share = float(self._boxes[row, column])
        if one.area and other.area:
            down, right = self._shifts[row]
            share = region_overlap(one, other, (int(down), int(right)))
        return share if share >= self._least else 0.0


def _areas(regions: Sequence[Region]) -> npt.NDArray[np.float64]:
    return np.array([region.area for region in regions], np.float64)


def _common_windows(
    one: Sequence[Region], other: Sequence[Region], shifts: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Return the number of pixels that the boxes of two regions share, the first moved: (n, m)."""
    mine, theirs = _boxes(one), _boxes(other)
    mine[:, :2] += shifts
    mine[:, 2:] += shifts
    first, last = np.maximum(mine[:, None, :2], theirs[None, :, :2]), np.minimum(mine[:, None, 2:], theirs[None, :, 2:])
    sides = np.maximum(last - first, 0).astype(np.float64)
    windows: npt.NDArray[np.float64] = sides[..., 0] * sides[..., 1]
    return windows


def _boxes(regions: Sequence[Region]) -> npt.NDArray[np.intp]:
    """Return top, left, bottom, right: (n, 4)."""
    corners = [(region.top, region.left, *region.inside.shape) for region in regions]
    boxes = np.array(corners, np.intp).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _moved(window: slice, by: int) -> slice:
    return slice(window.start - by, window.stop - by, window.step)


def _area(boxes: npt.NDArray[np.float64]) -> Shares:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    areas: Shares = sides[..., 0] * sides[..., 1]
    return areas
