"""Some pixels of a picture, stored as the box that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Canvas = TypeVar("Canvas", npt.NDArray[np.uint8], npt.NDArray[np.uint16])


class ShapeError(Exception):
    """A shape cannot be drawn; the message is the reason. Who knows where it came from makes a user's error of it."""


@dataclass(frozen=True, eq=False)
class Region:
    """Some pixels of a picture."""

    top: int
    left: int
    inside: npt.NDArray[np.bool_]
    """Which pixels of the box at (top, left) belong to it."""

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.inside))

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the box in the picture: `picture[region.window]`."""
        rows, columns = self.inside.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)


def paint(canvas: Canvas, regions: Sequence[Region], values: Sequence[int]) -> Canvas:
    """Write a value into each region's pixels of a picture, earlier ones over later ones; return the picture."""
    for region, value in zip(reversed(regions), reversed(values), strict=True):
        np.copyto(canvas[region.window], value, where=region.inside)
    return canvas


EMPTY = Region(0, 0, np.zeros((0, 0), np.bool_))
