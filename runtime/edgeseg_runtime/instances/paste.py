"""From the small masks of objects to the frame's pixels: the only implementation there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.product import MATRICES, product
from edgeseg_runtime.instances.region import EMPTY, Region

Values = npt.NDArray[np.float32]
Whole = npt.NDArray[np.intp]
Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Patch:
    """An object's mask as the model gives it: coarse values on a grid over a rectangle of the frame.

    Cell (r, c) of the h×w grid has its centre at x = left + (c + 0.5) · width / w, y = top + (r + 0.5) · height / h,
    in pixels of the frame whose first pixel reaches from 0 to 1. Between the centres values are interpolated
    bilinearly, beyond the outer ones they go on as they are.
    """

    values: Values
    """float32 (h, w): probabilities, or scores of any scale with `threshold` to match."""
    left: float
    top: float
    width: float
    height: float
    threshold: float
    """Pixels whose value is larger belong to the object."""


def paste(patches: Sequence[Patch], boxes: npt.NDArray[np.float32], height: int, width: int) -> tuple[Region, ...]:
    """Return each object's pixels in a height×width frame: those with their centre in its box (x0, y0, x1, y1).

    Bilinear interpolation is a product of matrices, rows · values · columns, with two weights in each row of theirs.
    All objects' matrices are filled at once, for with many small objects the calls into numpy are what takes time.
    """
    if not patches:
        return ()
    size = np.array([height, width])
    places = np.asarray(boxes, np.float64)[:, [1, 0, 3, 2]] - 0.5  # top, left, bottom, right
    first = np.clip(np.ceil(places[:, :2]), 0, size).astype(np.intp)
    end = np.clip(np.floor(places[:, 2:]) + 1, first, size).astype(np.intp)
    start = np.array([(patch.top, patch.left) for patch in patches])
    extent = np.array([(patch.height, patch.width) for patch in patches])
    cells = np.array([patch.values.shape for patch in patches])
    axes = _axes(first.ravel(), end.ravel(), start.ravel(), extent.ravel(), cells.ravel())
    # One piece of memory for all: a new one of this size is zeroed by the system, page by page.
    memory = np.empty((end - first).prod(axis=1).max(), np.float32)
    filled = (end > first).all(axis=1).tolist()
    return tuple(
        Region(top, left, _values(down, patch.values, across, memory) > patch.threshold) if any_pixel else EMPTY
        for patch, (top, left), down, across, any_pixel in zip(
            patches, first.tolist(), axes[::2], axes[1::2], filled, strict=True
        )
    )


class _Axis(NamedTuple):
    """How to interpolate along the rows or columns of one object."""

    weights: Values
    """(pixels, cells): what each cell's value counts for at the centre of each pixel."""
    lower: Whole
    """(pixels,): the first cell that counts, never falling; the other one is the next."""


def _values(down: _Axis, values: Values, across: _Axis, memory: Values) -> Values:
    """Return the values at the centres of the pixels; they lie in `memory`, until it is used again."""
    rows, columns = len(down.lower), len(across.lower)
    beside = product(values, across.weights.T, np.empty((len(values), columns), np.float32))
    result = memory[: rows * columns].reshape(rows, columns)
    high = _strip(int(down.lower[-1] - down.lower[0]) / rows, rows, columns)
    for top in range(0, rows, high):
        strip = slice(top, top + high)
        lower = down.lower[strip]
        near = slice(int(lower[0]), int(lower[-1]) + 2)  # far cells count for nothing in these rows
        product(down.weights[strip, near], beside[near], result[strip])
    return result


def _strip(step: float, rows: int, columns: int) -> int:
    """Return how many rows to interpolate at a time, with `step` cells to a row: in as few products as stay small.

    So many rows need rows · step + 3 cells, and multiplications of the root of a quadratic equation are allowed.
    """
    most = MATRICES / columns
    largest = most / 3 if step * most < 1 else (sqrt(9 + 4 * step * most) - 3) / (2 * step)
    return ceil(rows / ceil(rows / max(1.0, largest)))


def _axes(first: Whole, end: Whole, start: Real, extent: Real, cells: Whole) -> list[_Axis]:
    """Return how to interpolate the cells of each axis, over `extent` from `start`, in the pixels `first` to `end`."""
    pixels = end - first
    step = cells / extent
    begun = np.cumsum(pixels) - pixels
    number = np.arange(pixels.sum()) - np.repeat(begun, pixels)
    place = number * np.repeat(step, pixels)
    place += np.repeat((first + 0.5 - start) * step - 0.5, pixels)
    np.maximum(place, 0, out=place)
    np.minimum(place, np.repeat(cells - 1.0, pixels), out=place)
    lower = place.astype(np.intp)
    np.minimum(lower, np.repeat(np.maximum(cells - 2, 0), pixels), out=lower)
    place -= lower  # the share of the next cell
    width = np.repeat(cells, pixels)
    at = np.cumsum(width)
    flat = np.zeros((int(at[-1]) if len(at) else 0) + 1, np.float32)
    at += lower
    at -= width
    # In this order: a grid of one cell has no second weight, and its place is that of the next pixel's first.
    # Conversion before assignment takes half the time of conversion while assigning.
    flat[at + 1] = place.astype(np.float32)
    flat[at] = (1 - place).astype(np.float32)
    made, block = [], 0
    for many, count, place_of in zip(pixels.tolist(), cells.tolist(), begun.tolist(), strict=True):
        weights = flat[block : block + many * count].reshape(many, count)
        made.append(_Axis(weights, lower[place_of : place_of + many]))
        block += many * count
    return made
