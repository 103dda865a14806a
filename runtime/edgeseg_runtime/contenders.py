"""Which classes can win where between low-resolution scores that are interpolated."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]

_ROUNDING = 1e-5
"""Relative slack for what interpolation in float32 can add to the largest of four corners."""


class Contender(NamedTuple):
    """A class, and the cells around all places where it can win: the first and last row, the first and last column."""

    class_index: int
    top: int
    bottom: int
    left: int
    right: int


def contenders(scores: Scores) -> list[Contender]:
    """Return the classes that can be the largest at some interpolated position, in increasing order.

    Between four neighbouring cells every class lies between the smallest and the largest of its corners, so a class
    whose largest corner is below another's smallest corner cannot win there. Classes that can win nowhere are left
    out: the mask is unchanged, and a street scene without bicycles never pays for the bicycle plane, nor one with a
    bicycle for that plane's sky.
    """
    classes, height, width = scores.shape
    # All planes as one tall image. A window holds a cell and those above and left of it. In a plane's top row it
    # straddles two planes; that row is left out, since the windows of the second row hold its cells too.
    tall = scores.reshape(classes * height, width)
    window = np.ones((2, 2), np.uint8)
    inside = slice(min(1, height - 1), None)
    upper = cv2.dilate(tall, window).reshape(classes, height, width)[:, inside]
    lower = cv2.erode(tall, window).reshape(classes, height, width)[:, inside]
    floor = lower.max(axis=0)
    floor -= _ROUNDING * np.abs(floor)
    # the tolerance also has to cover corners much larger than the floor, whose rounding is in proportion to them
    floor -= _ROUNDING * float(np.abs(scores).max())
    possible = upper >= floor
    rows, columns = possible.any(axis=2), possible.any(axis=1)
    top, bottom = _ends(rows)
    left, right = _ends(columns)
    boxes = np.stack([top, np.minimum(bottom + 1, height - 1), np.maximum(left - 1, 0), right], axis=1)
    return [Contender(int(index), *boxes[index].tolist()) for index in np.flatnonzero(rows.any(axis=1))]


def everywhere(classes: int, height: int, width: int) -> list[Contender]:
    """Return all classes with the whole picture each, for scores that are not worth a search."""
    return [Contender(index, 0, height - 1, 0, width - 1) for index in range(classes)]


def _ends(found: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first and the last true place of each row."""
    return found.argmax(axis=1), found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
