"""Read picture files: whole or not at all, masks by their numbers.

A picture's EXIF orientation is applied, as labelling programs and `predict` do, so its mask must fit the upright
picture. Masks are read as stored.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.data.base import BadFileError, Rgb
from edgeseg_runtime.preprocess import Image

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
"""Lossless only: JPEG invents labels along every edge."""

_PNG = b"\x89PNG\r\n\x1a\n"
_TRUNCATED = "truncated: the end of the picture is missing"
_GRAY, _PALETTE, _GRAY_ALPHA = 0, 3, 4  # PNG colour types
_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""What begins a part of a JPEG; in a scan FF 00 is a value and FF D0 to D7 are places to start again."""
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_BARE = (0x01, _START, _END)
"""Markers that no length follows."""


def read_picture(path: Path) -> Image:
    """Read an upright uint8 H×W×3 BGR picture; 16-bit, grey and transparent ones are converted.

    Raises BadFileError when the file is unreadable, truncated or not a picture.
    """
    return _decode(path, _read_whole(path), cv2.IMREAD_COLOR)


@dataclass(frozen=True)
class Stored:
    """What a mask file holds."""

    values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    """H×W for grey and palette files (the number, not the colour), H×W×3 BGR for colour files."""
    palette: tuple[Rgb, ...] | None
    """Colours of the numbers, where the file gives them."""
    white: int = 255
    """The number that is white where numbers are levels of grey: less in PNGs of fewer than 8 bits."""


def read_stored(path: Path) -> Stored:
    """Read a mask's numbers or colours as stored. Raises BadFileError as `read_picture` does."""
    data = _read_whole(path)
    if _is_indexed(data):
        values = _decode(path, _with_identity_palette(path, data), cv2.IMREAD_UNCHANGED)
        white = 255 if data[25] == _PALETTE else (1 << data[24]) - 1
        return Stored(np.ascontiguousarray(values[..., 0]), _palette(path, data), white)
    values = _decode(path, data, cv2.IMREAD_UNCHANGED)
    if values.dtype not in (np.uint8, np.uint16):
        raise BadFileError(path, f"holds {values.dtype} values, where 8 or 16-bit ones are expected")
    if data.startswith(_PNG) and data[25] == _GRAY_ALPHA:
        return Stored(np.ascontiguousarray(values[..., 0]), None)
    return Stored(values[..., :3] if values.ndim == 3 else values, None)


def _palette(path: Path, data: bytes) -> tuple[Rgb, ...] | None:
    for kind, body in _chunks(path, data):
        if kind == b"PLTE" and data[25] == _PALETTE:
            if not body or len(body) % 3:
                raise BadFileError(path, f"damaged: its palette has {len(body)} bytes, which are no whole colours")
            return tuple(zip(body[::3], body[1::3], body[2::3], strict=True))
    return None


def _read_whole(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error
    if not data:
        raise BadFileError(path, "the file is empty")
    # Decoders differ in how silently they fill up the missing part of a picture, so it is looked for first.
    if data.startswith(_PNG):
        _chunks(path, data)
    elif data.startswith(b"\xff\xd8") and not _ends(data):
        raise BadFileError(path, _TRUNCATED)
    return data


def _ends(jpeg: bytes) -> bool:
    """Whether a JPEG has the end of its picture, whatever lies behind it: phones put a film there.

    A preview inside the header has an end of its own, which does not count.
    """
    at, scanned = 2, False
    while (marker := _MARKER.search(jpeg, at)) is not None:
        kind, at = marker[0][-1], marker.end()
        if kind == _END:
            return scanned
        scanned = scanned or kind == _SCAN
        if kind not in _BARE:
            at += int.from_bytes(jpeg[at : at + 2], "big")
    return False


def _decode(path: Path, data: bytes, flags: int) -> npt.NDArray[np.uint8]:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:  # such as more pixels than OpenCV agrees to read
        raise BadFileError(path, f"cannot be decoded: {error.err}") from error
    if image is None:
        raise BadFileError(path, "cannot be decoded: damaged, or not a picture")
    return image  # type: ignore[return-value]


def _is_indexed(data: bytes) -> bool:
    """Whether the pixels are numbers that OpenCV would change: a palette, or grey levels of fewer than 8 bits."""
    return len(data) > 33 and data.startswith(_PNG) and (data[25] == _PALETTE or (data[25] == _GRAY and data[24] < 8))


def _with_identity_palette(path: Path, data: bytes) -> bytes:
    """Give an indexed PNG the palette 0, 1, 2, …, so that its colours are its numbers.

    OpenCV turns palettes into colours and stretches 1, 2 and 4-bit grey to 0..255: both lose the number.
    """
    depth = data[24]
    palette = bytes(value for index in range(1 << depth) for value in (index, index, index))
    parts = [_PNG]
    for kind, body in _chunks(path, data):
        if kind == b"IHDR":
            header = body[:9] + bytes([_PALETTE]) + body[10:]
            parts += [_chunk(b"IHDR", header), _chunk(b"PLTE", palette)]
        elif kind in (b"IDAT", b"IEND"):
            parts.append(_chunk(kind, body))
    return b"".join(parts)


def _chunks(path: Path, data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the parts of a PNG up to its end, each verified. Raises BadFileError if there is no end."""
    chunks, start = [], len(_PNG)
    while start + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, start)
        kind, body = data[start + 4 : start + 8], data[start + 8 : start + 8 + size]
        checksum = data[start + 8 + size : start + 12 + size]
        if len(checksum) < 4:
            break
        if zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, "big") != checksum:
            raise BadFileError(path, "damaged: a part of the PNG fails its checksum")
        chunks.append((kind, body))
        if kind == b"IEND":
            return chunks
        start += 12 + size
    raise BadFileError(path, _TRUNCATED)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
