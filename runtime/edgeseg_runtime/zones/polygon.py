"""A zone: a named polygon on the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.errors import ConfigError

Point: TypeAlias = "tuple[float, float]"

MOST_POINTS = 500


@dataclass(frozen=True)
class Zone:
    """A polygon whose last point joins the first. Raises ConfigError for one that encloses nothing.

    Where its border crosses itself, a part that is enclosed twice is outside (the even-odd rule).
    """

    name: str
    points: tuple[Point, ...]
    """(x, y), each 0..1 of the frame's width and height, from its upper left corner."""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > 100:
            raise ConfigError(f"a zone needs a printable name of 1 to 100 characters, got {self.name[:120]!r}")
        if not 3 <= len(set(self.points)) <= len(self.points) <= MOST_POINTS:
            count = len(set(self.points))
            raise ConfigError(f"zone {self.name!r} has {count} different points; it needs 3 to {MOST_POINTS}")
        for x, y in self.points:
            if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
                raise ConfigError(f"zone {self.name!r} has the point ({x:g}, {y:g}); x and y must be in 0..1")

    @property
    def crosses_itself(self) -> bool:
        """Whether two of its sides cross or touch, besides neighbours at their common point."""
        ends = list(zip(self.points, (*self.points[1:], self.points[0]), strict=True))
        for (first, one), (second, other) in combinations(enumerate(ends), 2):
            neighbours = second - first in (1, len(ends) - 1)
            if not neighbours and _cross(*one, *other):
                return True
        return False

    def inside(self, height: int, width: int) -> npt.NDArray[np.bool_]:
        """Return which pixels of a frame are in the zone: those whose centre is, by the even-odd rule. bool H×W.

        Zones that share a side share no pixel.
        """
        # Each side toggles, in the rows it spans, every pixel from its crossing to the right; the sum of toggles is odd
        # inside. A side spans the rows from its upper end (included) to its lower one (excluded), so that a corner
        # counts once.
        toggles = np.zeros((height, width + 1), np.uint8)
        for (x0, y0), (x1, y1) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if y0 > y1:
                x0, y0, x1, y1 = x1, y1, x0, y0
            rows = np.arange(math.ceil(y0 * height - 0.5), math.ceil(y1 * height - 0.5))
            crossing = x0 + ((rows + 0.5) / height - y0) / ((y1 - y0) or 1.0) * (x1 - x0)
            columns = np.ceil(crossing * width - 0.5).astype(np.int64)
            toggles[rows, columns.clip(0, width)] ^= 1
        return np.bitwise_xor.accumulate(toggles, axis=1)[:, :width].astype(bool)

    def holds(self, places: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which places are in the zone, by the even-odd rule: (n, 2), x and y as in `points`, to bool (n,)."""
        corners = np.array(self.points)
        (x0, y0), (x1, y1) = corners.T[..., None], np.roll(corners, -1, axis=0).T[..., None]
        x, y = places[:, 0], places[:, 1]
        spans = (y0 <= y) != (y1 <= y)  # each corner belongs to one of its sides
        crossing = x0 + (y - y0) / np.where(spans, y1 - y0, 1) * (x1 - x0)
        inside: npt.NDArray[np.bool_] = (spans & (crossing <= x)).sum(axis=0) % 2 == 1
        return inside


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    def between(p: Point, q: Point, r: Point) -> bool:
        return min(p[0], q[0]) <= r[0] <= max(p[0], q[0]) and min(p[1], q[1]) <= r[1] <= max(p[1], q[1])

    sides = side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    touching = zip(sides, ((a, b, c), (a, b, d), (c, d, a), (c, d, b)), strict=True)
    return any(value == 0 and between(*points) for value, points in touching)
