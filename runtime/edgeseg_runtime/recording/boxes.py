"""Where an MP4 that was cut off ends in good order.

Boxes as in ISO/IEC 14496-12, section 4.2: a 32-bit length that counts itself, a four-letter kind, and after length 1
a 64-bit length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, NamedTuple


class Box(NamedTuple):
    """A box of the top level."""

    kind: bytes
    start: int
    end: int


def boxes(file: BinaryIO) -> Iterator[Box]:
    """Give the boxes that are there from their first to their last byte."""
    size = os.fstat(file.fileno()).st_size
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or at + length > size:
            return
        yield Box(kind, at, at + length)
        at += length


def sound_length(file: BinaryIO) -> int:
    """Return how many bytes from the start can be played: all of a finished file, else up to the last whole fragment.

    0 where there is no frame.
    """
    found = list(boxes(file))
    kinds = [box.kind for box in found]
    if b"moof" not in kinds:
        return found[-1].end if b"mdat" in kinds and b"moov" in kinds else 0
    return max((now.end for before, now in pairwise(found) if (before.kind, now.kind) == (b"moof", b"mdat")), default=0)
