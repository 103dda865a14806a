"""Write masks as PNGs that hold class numbers and show class colours."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

from edgeseg.data.base import IGNORE, Rgb
from edgeseg_runtime.preprocess import Mask

IGNORE_COLOR: Rgb = (224, 224, 192)
"""Pascal VOC's colour of pixels without class."""
_LEVEL = 6


def indexed_png(mask: Mask, colors: Sequence[Rgb]) -> bytes:
    """Return a uint8 H×W mask as an 8-bit palette PNG; number k is shown in `colors[k]`, 255 in IGNORE_COLOR."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = colors
    palette[IGNORE] = IGNORE_COLOR
    height, width = mask.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = mask
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), _LEVEL)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
