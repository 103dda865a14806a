"""How much the pixels of two objects are the same, to the pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.overlap import box_overlap
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult

Shares = npt.NDArray[np.float64]


def overlaps(one: Sequence[Region], other: Sequence[Region]) -> Shares:
    """Return the IoU (0..1) of every region with every other: (n, m)."""
    found = np.zeros((len(one), len(other)))
    sizes = [region.area for region in other]
    for row, mine in enumerate(one):
        area = mine.area
        for column, (theirs, size) in enumerate(zip(other, sizes, strict=True)):
            if common := _common(mine, theirs):
                found[row, column] = common / (area + size - common)
    return found


def object_overlaps(one: InstanceResult, other: InstanceResult) -> Shares:
    """Return the IoU of the masks of every object with every other; of the boxes where neither mask has a pixel.

    A mask that is thinner than a pixel may hold the centre of none, in both results alike.
    """
    shares = overlaps(one.regions, other.regions)
    empty = [[region.area == 0 for region in result.regions] for result in (one, other)]
    both = np.logical_and.outer(*empty) if len(one) and len(other) else np.zeros(shares.shape, np.bool_)
    return np.where(both, box_overlap(one.boxes, other.boxes), shares) if both.any() else shares


def _common(one: Region, other: Region) -> int:
    """Return how many pixels are in both."""
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom = min(one.top + one.inside.shape[0], other.top + other.inside.shape[0])
    right = min(one.left + one.inside.shape[1], other.left + other.inside.shape[1])
    if top >= bottom or left >= right:
        return 0
    mine = one.inside[top - one.top : bottom - one.top, left - one.left : right - one.left]
    theirs = other.inside[top - other.top : bottom - other.top, left - other.left : right - other.left]
    return int(np.count_nonzero(mine & theirs))
