"""Some pixels of a picture, stored as the box that holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Region:
    """Some pixels of a picture."""

    top: int
    left: int
    inside: npt.NDArray[np.bool_]
    """Which pixels of the box at (top, left) belong to it."""

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.inside))


EMPTY = Region(0, 0, np.zeros((0, 0), np.bool_))
