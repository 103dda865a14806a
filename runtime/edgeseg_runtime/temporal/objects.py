"""Carry the newest objects to the current frame: each as a whole, as far as the picture has moved within it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.temporal.flow import Field

_PASSES = 2
"""The motion is known where the object is now, which is known once it has been moved: the second time it is there."""


def moved(result: InstanceResult, field: Field) -> InstanceResult:
    """Return the objects of an earlier frame where they are now. Those that have left the picture are gone.

    `field` tells, for a thumbnail of the current frame, what to add to a pixel's (x, y) to find it in that of the
    earlier one. An object moves by the median over its pixels, which its surroundings do not sway.
    """
    rows, columns = field.shape[:2]
    scale = np.array([result.width / columns, result.height / rows])
    ends = np.array([result.width, result.height, result.width, result.height], np.float32)
    shifts = np.array([_shift(region, field, scale) for region in result.regions], np.float32).reshape(-1, 2)
    boxes = np.clip(result.boxes + np.hstack([shifts, shifts]), 0, ends)
    kept = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    return replace(
        result,
        boxes=boxes[kept],
        scores=result.scores[kept],
        labels=result.labels[kept],
        patches=tuple(
            replace(
                result.patches[row],
                left=result.patches[row].left + float(shifts[row, 0]),
                top=result.patches[row].top + float(shifts[row, 1]),
            )
            for row in kept
        ),
        ids=tuple(result.ids[row] for row in kept) if result.ids else (),
        more=result.crowded,
    )


def _shift(region: Region, field: Field, scale: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return by how many pixels of the frame (x, y) an object has moved."""
    places = _places(region, scale)
    shift = np.zeros(2)
    if not len(places):
        return shift
    last = np.array([field.shape[1] - 1, field.shape[0] - 1])
    for _ in range(_PASSES):
        x, y = np.clip(np.floor(places + shift), 0, last).astype(np.intp).T
        shift = -np.median(field[y, x], axis=0)
    return shift * scale


def _places(region: Region, scale: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return where the object's pixels are in the thumbnail, about one for each of its pixels: float64 (n, 2) x, y."""
    across, down = (max(1, int(step)) for step in scale)
    rows, columns = np.nonzero(region.inside[down // 2 :: down, across // 2 :: across])
    if not len(rows):  # smaller than the steps
        down = across = 1
        rows, columns = np.nonzero(region.inside)
    x, y = region.left + across // 2 + columns * across, region.top + down // 2 + rows * down
    return (np.stack([x, y], axis=1) + 0.5) / scale
