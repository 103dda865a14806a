"""Run-length encoded masks: the lengths of runs of 0 and 1 in turn, the first one of 0.

COCO goes down the columns of the whole picture and may squeeze the lengths into a string; CVAT goes along the rows of a
box. (cocodataset.org, "Data format"; docs.cvat.ai, "Run-length encoding")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import Region, ShapeError

Counts = npt.NDArray[np.int64]
_DIGITS = 12  # of 5 bits in the longest length: more would not fit


class CocoRle(TypedDict):
    """A mask as COCO's files have it."""

    size: list[int]
    """Height and width of the picture."""
    counts: str
    """The lengths, squeezed."""


def to_coco(region: Region, height: int, width: int) -> CocoRle:
    """Return some pixels of a height×width picture as COCO's files have them."""
    return {"size": [height, width], "counts": squeeze(encode(region, height, width))}


def encode(region: Region, height: int, width: int) -> Counts:
    """Return the lengths of the runs down the columns of the height×width picture that the region lies in."""
    rows, columns = region.inside.shape
    framed = np.zeros((columns, rows + 2), np.int8)
    framed[:, 1:-1] = region.inside.T
    changes = np.diff(framed, axis=1)
    first = (region.left * height + region.top) + np.arange(columns)[:, None] * height + np.arange(rows + 1)
    starts, ends = first[changes == 1], first[changes == -1]
    apart = starts[1:] > ends[:-1]  # a run that reaches the bottom goes on at the top of the next column
    starts, ends = starts[np.r_[True, apart][: len(starts)]], ends[np.r_[apart, True][: len(ends)]]
    counts = np.diff(np.stack([starts, ends], 1).ravel(), prepend=0, append=height * width)
    return counts if counts[-1] or len(counts) == 1 else counts[:-1]


def squeeze(counts: Counts | Sequence[int]) -> str:
    """Return lengths as COCO's string; `unsqueeze` reads it back."""
    values = np.array(counts, np.int64)
    values[3:] -= np.asarray(counts, np.int64)[1:-2]
    digit = np.arange(_DIGITS + 1)
    # As few digits as hold the number and its sign.
    enough = (values[:, None] >> (5 * digit + 4)) == (values < 0)[:, None] * -1
    last = enough.argmax(axis=1)[:, None]
    codes = 48 + (values[:, None] >> 5 * digit & 31) + 32 * (digit < last)
    return bytes(codes[digit <= last].astype(np.uint8)).decode("ascii")


def decode(counts: Counts | Sequence[int], height: int, width: int, *, columns: bool) -> npt.NDArray[np.bool_]:
    """Return a height×width mask; `columns`: the runs go down columns, not along rows. Raises ShapeError."""
    try:
        lengths = np.asarray(counts, np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError("an RLE needs a list of whole numbers") from error
    if lengths.ndim != 1 or (lengths < 0).any() or (lengths > height * width).any():
        raise ShapeError(f"an RLE needs a list of lengths from 0 to its size, {width}×{height} px")
    if (total := int(lengths.sum())) != height * width:
        raise ShapeError(f"the RLE covers {total} px, its size is {width}×{height} = {height * width} px")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return values.reshape(width, height).T if columns else values.reshape(height, width)


def unsqueeze(text: str) -> Counts:
    """Return the lengths in COCO's string: 5 bits a character, low ones first, differences from the last but one.

    Raises ShapeError for a string that is none.
    """
    codes = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63:
        raise ShapeError("the RLE is not a string of COCO's")
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    if not len(ends) or ends[-1] != len(codes) - 1 or (ends - starts).max() >= _DIGITS:
        raise ShapeError("the RLE's string is cut off or damaged")
    shift = 5 * (np.arange(len(codes)) - np.repeat(starts, ends - starts + 1))
    counts = np.add.reduceat((codes & 31) << shift, starts)
    negative = codes[ends] & 16 != 0
    counts[negative] -= 1 << (5 * (ends - starts + 1)[negative])
    # From the fourth on, each is stored as its difference from the one two before.
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts
