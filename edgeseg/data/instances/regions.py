"""What is done to regions: found, cut out, moved, mirrored, resized. All results are as small as they can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import EMPTY, Region

Indices = npt.NDArray[np.intp]
"""For each row or column of the result the one of the original that it is taken from."""


def tight(region: Region) -> Region:
    """Return the region in the smallest box that holds its pixels; EMPTY if it has none."""
    rows = np.flatnonzero(region.inside.any(axis=1))
    if not len(rows):
        return EMPTY
    columns = np.flatnonzero(region.inside.any(axis=0))
    window = region.inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # A copy, so that a small object does not keep the mask of a whole picture in memory.
    return Region(region.top + int(rows[0]), region.left + int(columns[0]), np.array(window))


def numbered(numbers: npt.NDArray[np.unsignedinteger[Any]]) -> Iterator[tuple[int, Region]]:
    """Yield each number other than 0 of an H×W mask, rising, with the region of its pixels."""
    rows, columns = np.nonzero(numbers)
    values = numbers[rows, columns]
    order = np.argsort(values, kind="stable")
    rows, columns, values = rows[order], columns[order], values[order]
    found, starts, counts = np.unique(values, return_index=True, return_counts=True)
    for number, first, count in zip(found.tolist(), starts, counts, strict=True):
        down, across = rows[first : first + count], columns[first : first + count]
        top, left = int(down.min()), int(across.min())
        inside = np.zeros((int(down.max()) + 1 - top, int(across.max()) + 1 - left), np.bool_)
        inside[down - top, across - left] = True
        yield number, Region(top, left, inside)


def moved(region: Region, down: int, right: int) -> Region:
    """Return the region at another place."""
    return replace(region, top=region.top + down, left=region.left + right)


def cut(region: Region, top: int, left: int, height: int, width: int) -> Region:
    """Return what a window shows of the region, in coordinates of the window."""
    down, right = region.top - top, region.left - left
    rows, columns = slice(max(0, -down), max(0, height - down)), slice(max(0, -right), max(0, width - right))
    return tight(Region(max(0, down), max(0, right), region.inside[rows, columns]))


def mirrored(region: Region, height: int, width: int, *, down: bool) -> Region:
    """Return the region in a height×width picture that is mirrored across, or turned upside down."""
    rows, columns = region.inside.shape
    if down:
        return Region(height - region.top - rows, region.left, region.inside[::-1])
    return Region(region.top, width - region.left - columns, region.inside[:, ::-1])


def nearest(length: int, new: int) -> Indices:
    """Return which of `length` rows each of `new` rows shows, as `to_input_mask` resizes: OpenCV's own choice."""
    line = np.arange(length, dtype=np.float32)[None]
    chosen: Indices = cv2.resize(line, (new, 1), interpolation=cv2.INTER_NEAREST_EXACT)[0].astype(np.intp)
    return chosen


def resized(region: Region, rows: Indices, columns: Indices) -> Region:
    """Return the region in a picture that is resized by nearest neighbour; see `nearest` for `rows` and `columns`."""
    height, width = region.inside.shape
    top, bottom = np.searchsorted(rows, (region.top, region.top + height)).tolist()
    left, right = np.searchsorted(columns, (region.left, region.left + width)).tolist()
    inside = region.inside[np.ix_(rows[top:bottom] - region.top, columns[left:right] - region.left)]
    return tight(Region(top, left, inside))


def without(region: Region, cover: npt.NDArray[np.bool_]) -> Region:
    """Return the pixels of the region that are not in `cover`, a mask of the whole picture."""
    return tight(Region(region.top, region.left, region.inside & ~cover[region.window]))


def warped(region: Region, matrix: npt.NDArray[np.float64], height: int, width: int) -> Region:
    """Return the region in a height×width picture whose pixel centres go where the 3×3 `matrix` takes them.

    Centres are (x, y, 1), the first one (0, 0). The matrix must not take a corner of the region to infinity.
    """
    rows, columns = region.inside.shape
    corners = np.array([(x, y, 1.0) for x in (-0.5, columns - 0.5) for y in (-0.5, rows - 0.5)])
    corners[:, :2] += (region.left, region.top)
    ends = corners @ matrix.T
    places = ends[:, :2] / ends[:, 2:]
    low = np.clip(np.floor(places.min(axis=0)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(places.max(axis=0)) + 1, 0, (width, height)).astype(int)
    if not (high > low).all():
        return EMPTY
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = (region.left, region.top), -low
    local, size = back @ matrix @ there, (int(high[0] - low[0]), int(high[1] - low[1]))
    stored = region.inside.astype(np.uint8)
    inside = cv2.warpPerspective(stored, local, size, flags=cv2.INTER_NEAREST)
    return tight(Region(int(low[1]), int(low[0]), inside != 0))
