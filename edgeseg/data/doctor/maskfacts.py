"""What is told of one mask: its classes, its edges, and the labels that its class table does not know."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.data.base import IGNORE, Rgb
from edgeseg.data.masks import OUTSIDE, MaskReader
from edgeseg.data.pictures import Stored
from edgeseg_runtime.preprocess import Mask

_KEPT = 64  # labels remembered of one file
_REACH = 2
_NARROW = 0.8


@dataclass(frozen=True)
class Edges:
    """How classes meet, summed over rows and columns."""

    sharp: int
    """Places where one label ends and the next begins."""
    between: int
    """Places with a label in between whose number lies between the two: what interpolation makes."""
    other: int
    """Places with any other label in between."""


@dataclass(frozen=True)
class StoredFacts:
    """What a mask file holds, before it is looked up in the class table."""

    used: dict[int, int]
    """Class index, IGNORE or OUTSIDE by stored number; empty for colours."""
    outside: dict[int, int]
    """Pixels by label that the class table does not know, the most frequent ones."""
    outside_names: dict[int, str]
    outside_count: int
    """How many such labels there are."""
    strewn: bool
    """Whether they are many and lie along edges, as JPEG and interpolation leave them, not in areas."""
    reversed_fits: bool
    """Whether colours fit the class table once red and blue change places."""
    palette: tuple[tuple[int, Rgb], ...]
    """Stored number and colour of each class that is used, where the file has a palette that is not grey."""
    edges: Edges | None
    """None for colours."""


@dataclass(frozen=True, eq=False)
class MaskFacts:
    """What is kept of a mask."""

    digest: bytes
    counts: npt.NDArray[np.int64]
    """Pixels by class index; 256 of them."""
    specks: int
    """Pixels unlike all eight neighbours."""
    border: int
    """Pixels whose right or lower neighbour has another class."""
    stored: StoredFacts | None
    """None where the truth is drawn rather than read from a mask of class labels."""


def mask_facts(mask: Mask, stored: StoredFacts | None) -> MaskFacts:
    """Look at a mask of class indices."""
    digest = hashlib.blake2b(repr(mask.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(mask).data)
    border = int((mask[:, 1:] != mask[:, :-1]).sum() + (mask[1:] != mask[:-1]).sum())
    return MaskFacts(digest.digest(), np.bincount(mask.ravel(), minlength=256), _specks(mask), border, stored)


def stored_facts(stored: Stored, mask: Mask, reader: MaskReader) -> StoredFacts:
    """Look at what a file holds; `mask` is what `reader` translates it to."""
    labels, name = reader.labels(stored)
    numbers = stored.values.ndim == 2
    outside = mask == OUTSIDE
    found: dict[int, int] = {}
    count = 0
    if outside.any():
        values, pixels = np.unique(labels[outside], return_counts=True)
        count = len(values)
        most = np.argsort(-pixels, kind="stable")[:_KEPT]
        found = {int(values[k]): int(pixels[k]) for k in most}
    return StoredFacts(
        used=_used(labels, mask) if numbers else {},
        outside=found,
        outside_names={label: name(label) for label in found},
        outside_count=count,
        strewn=count > 2 and _share_at_edges(outside, labels) > _NARROW,
        reversed_fits=bool(found) and not numbers and _fits_reversed(stored, reader),
        palette=_used_palette(stored, mask),
        edges=_edges(labels, mask == IGNORE) if numbers else None,
    )


def _used(labels: npt.NDArray[np.generic], mask: Mask) -> dict[int, int]:
    """Return the class of each stored number; a number has one class throughout a file."""
    codes = labels.astype(np.int32).ravel() << 8 | mask.ravel()
    # Counting is ten times as fast as sorting, where the numbers are small.
    found = np.flatnonzero(np.bincount(codes)) if labels.dtype == np.uint8 else np.unique(codes)
    pairs = found[: 4 * _KEPT]
    return {int(pair) >> 8: int(pair) & 255 for pair in pairs}


def _used_palette(stored: Stored, mask: Mask) -> tuple[tuple[int, Rgb], ...]:
    if stored.palette is None or all(red == green == blue for red, green, blue in stored.palette):
        return ()
    numbers = np.unique(stored.values[(mask != IGNORE) & (mask != OUTSIDE)])
    return tuple((int(k), stored.palette[int(k)]) for k in numbers if k < len(stored.palette))


def _fits_reversed(stored: Stored, reader: MaskReader) -> bool:
    turned = replace(stored, values=stored.values[..., ::-1])
    return not (reader.translate(turned) == OUTSIDE).any()


def _specks(mask: Mask) -> int:
    height, width = mask.shape
    if height < 3 or width < 3:
        return 0
    inner = mask[1:-1, 1:-1]
    alone = np.ones(inner.shape, np.bool_)
    for y in (0, 1, 2):
        for x in (0, 1, 2):
            if (y, x) != (1, 1):
                alone &= inner != mask[y : y + height - 2, x : x + width - 2]
    return int(alone.sum())


def _share_at_edges(where: npt.NDArray[np.bool_], labels: npt.NDArray[np.generic]) -> float:
    """Return which share of the marked pixels has a neighbour with another label."""
    edge = np.zeros(where.shape, np.bool_)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return float(edge[where].mean())


def _edges(labels: npt.NDArray[np.generic], ignored: npt.NDArray[np.bool_]) -> Edges:
    """Look at the pixels between two that are four apart and differ by two or more, along rows and columns.

    Labels between two others are no sign where they are always one and the same, and that has no area of its own in
    the mask: so the outline of things is drawn where it is a class.
    """
    sharp = other = 0
    found: list[npt.NDArray[np.int32]] = []
    for values, void in ((labels.astype(np.int32), ignored), (labels.T.astype(np.int32), ignored.T)):
        first, last = values[:, : -2 * _REACH], values[:, 2 * _REACH :]
        crossing = (np.abs(first - last) > 1) & ~void[:, : -2 * _REACH] & ~void[:, 2 * _REACH :]
        rows, columns = np.nonzero(crossing)
        a, c = first[rows, columns], last[rows, columns]
        low, high = np.minimum(a, c), np.maximum(a, c)
        middle = np.stack([values[rows, columns + step] for step in range(1, 2 * _REACH)])
        strange = (middle != a) & (middle != c)
        inside = (middle > low) & (middle < high)
        is_sharp = ~strange.any(0)
        is_between = ~is_sharp & (inside | ~strange).all(0)
        sharp += int(is_sharp.sum())
        other += int((~is_sharp & ~is_between).sum())
        lowest = np.where(inside, middle, high).min(0)
        found.append(np.stack([low, high, lowest, np.where(inside, middle, low).max(0)], 1)[is_between])
    outlines = _outlines(labels, np.concatenate(found))
    return Edges(sharp, int((~outlines).sum()), other + int(outlines.sum()))


def _outlines(labels: npt.NDArray[np.generic], edges: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Tell which (low, high, least between, most between) are of two labels with one and the same outline."""
    pairs, which = np.unique(edges[:, 0].astype(np.int64) << 32 | edges[:, 1], return_inverse=True)
    least, most = np.full(len(pairs), 1 << 16), np.full(len(pairs), -1)
    np.minimum.at(least, which, edges[:, 2])
    np.maximum.at(most, which, edges[:, 3])
    alone = least == most
    drawn = [value for value in np.unique(least[alone]) if not _has_area(labels == value)]
    outline: npt.NDArray[np.bool_] = (alone & np.isin(least, drawn))[which]
    return outline


def _has_area(where: npt.NDArray[np.bool_]) -> bool:
    """Whether a label is somewhere broader than edges are."""
    return bool(cv2.erode(where.astype(np.uint8), np.ones((2 * _REACH + 1,) * 2, np.uint8)).any())
