"""From outlines to pixels, for every format that stores shapes instead of masks.

Coordinates are x, y in pixels with (0, 0) at the *corner* of the first pixel, whose centre is (0.5, 0.5). A pixel is
in a shape when its centre is. A centre that lies on an edge belongs to the shape on its right or below, so that two
shapes with a common edge share no pixel and leave none between them, and a box from 2 to 5 covers the pixels 2, 3, 4.
A shape that reaches no pixel's centre has no pixel.

Some programs count in whole pixels instead: their outline runs along pixels that belong to the shape. `fill_pixels` is
for those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import EMPTY, Region

Points: TypeAlias = npt.NDArray[np.float64]
"""N×2 of x, y."""
Rule = Literal["even-odd", "nonzero"]
"""What is inside where outlines overlap: what an odd number of them enclose, so that a ring inside another is a hole,
or what they go around, so that two rings of the same direction are one area."""
_ROUND = 64  # corners of an ellipse per quarter turn: less than 0.1 px off at a radius of 1,000


def fill(rings: Sequence[Points], height: int, width: int, rule: Rule = "even-odd") -> Region:
    """Return the pixels of a height×width picture inside closed `rings` of finite points."""
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    falls = starts[:, 1] < ends[:, 1]
    # Each edge is computed from its upper end, so that neighbours agree on where their common edge runs.
    upper, lower = np.where(falls[:, None], starts, ends), np.where(falls[:, None], ends, starts)
    first = _centres_before(upper[:, 1], height)
    count = _centres_before(lower[:, 1], height) - first
    edge = np.repeat(np.arange(len(upper)), count)
    if not len(edge):
        return EMPTY
    row = np.arange(len(edge)) + np.repeat(first - (np.cumsum(count) - count), count)
    slope = (lower[edge, 0] - upper[edge, 0]) / (lower[edge, 1] - upper[edge, 1])
    column = _centres_before(upper[edge, 0] + (row + 0.5 - upper[edge, 1]) * slope, width)
    top, left = int(row.min()), int(column.min())
    steps = np.zeros((int(row.max()) + 1 - top, int(column.max()) + 1 - left), np.int32)
    np.add.at(steps, (row - top, column - left), np.where(falls[edge], 1, -1))
    winding = np.cumsum(steps, axis=1)[:, :-1]
    return Region(top, left, (winding & 1).astype(np.bool_) if rule == "even-odd" else winding != 0)


def _centres_before(position: npt.NDArray[np.float64], limit: int) -> npt.NDArray[np.int64]:
    """Return how many of the centres 0.5, 1.5, … up to `limit` lie before each position."""
    return np.ceil(np.clip(position - 0.5, 0, limit)).astype(np.int64)


def fill_pixels(outline: Points, holes: Sequence[Points], height: int, width: int) -> Region:
    """Return the pixels that an outline of pixels (x, y) encloses, itself included, without holes and their rims."""
    low = np.clip(np.floor(outline.min(axis=0)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(outline.max(axis=0)) + 1, 0, (width, height)).astype(int)
    if not (high > low).all():
        return EMPTY
    canvas = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(canvas, [_whole(outline - low)], 1)
    for hole in holes:
        cv2.fillPoly(canvas, [_whole(hole - low)], 0)
    return Region(int(low[1]), int(low[0]), canvas.astype(np.bool_))


def _whole(points: Points) -> npt.NDArray[np.int32]:
    return np.clip(np.rint(points), -(1 << 20), 1 << 20).astype(np.int32)


def place(inside: npt.NDArray[np.bool_], top: int, left: int, height: int, width: int) -> Region:
    """Return a small mask put at (top, left) of a height×width picture; what reaches beyond is cut off."""
    low, high = max(0, -top), max(0, -left)
    kept = inside[low : max(low, height - top), high : max(high, width - left)]
    return Region(max(0, top), max(0, left), kept)


def union(regions: Sequence[Region]) -> Region:
    """Return the pixels that are in any of the regions."""
    full = [region for region in regions if region.inside.size]
    if len(full) < 2:
        return full[0] if full else EMPTY
    top, left = min(r.top for r in full), min(r.left for r in full)
    bottom = max(r.top + r.inside.shape[0] for r in full)
    right = max(r.left + r.inside.shape[1] for r in full)
    inside = np.zeros((bottom - top, right - left), np.bool_)
    for region in full:
        rows, columns = region.inside.shape
        inside[region.top - top :, region.left - left :][:rows, :columns] |= region.inside
    return Region(top, left, inside)


def box(left: float, top: float, right: float, bottom: float, rotation: float = 0.0) -> Points:
    """Return the corners of a box turned clockwise about its centre by `rotation` degrees."""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return _turned(corners, ((left + right) / 2, (top + bottom) / 2), rotation)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, rotation: float = 0.0) -> Points:
    """Return corners of an ellipse around (x, y) turned clockwise by `rotation` degrees."""
    angles = np.arange(4 * _ROUND) * (np.pi / 2 / _ROUND)
    rim = np.column_stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)])
    return _turned(rim, (x, y), rotation)


def _turned(points: Points, centre: tuple[float, float], degrees: float) -> Points:
    if not degrees:
        return points
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned: Points = (points - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre
    return turned
