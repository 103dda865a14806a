"""What a picture file says of itself before it is decoded: its kind, its colours, which way up it is."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["jpeg", "png", "webp", "bmp", "tiff", "unknown"]
Mode = Literal["colour", "grey", "palette", "alpha", "cmyk"]

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_MODES: dict[int, Mode] = {0: "grey", 2: "colour", 3: "palette", 4: "alpha", 6: "alpha"}
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # JPEG markers between SOF0 and SOF15 that start no frame
_ORIENTATION, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 274, 258, 259, 262, 277  # TIFF tags
_TIFF_JPEG = (6, 7)
_TIFF_PALETTE, _TIFF_SEPARATED = 3, 5


@dataclass(frozen=True)
class Encoding:
    """How a picture is stored."""

    kind: Kind
    mode: Mode = "colour"
    bits: int = 8
    """Of a channel."""
    orientation: int = 1
    """EXIF's: 1 upright, 2 to 8 mirrored or turned."""
    lossy: bool = False


def read_encoding(data: bytes) -> Encoding:
    """Return what the head of a file says; what it does not say, or says in a damaged way, keeps its default."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return Encoding("bmp", _bmp_mode(struct.unpack_from("<H", data, 28)[0]))
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
    except (struct.error, IndexError):
        pass
    return Encoding("unknown")


def _jpeg(data: bytes) -> Encoding:
    found = Encoding("jpeg", lossy=True)
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        (size,) = struct.unpack_from(">H", data, place + 2)
        body = data[place + 4 : place + 2 + size]
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            found = replace(found, orientation=_exif_orientation(body[6:]))
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            modes: dict[int, Mode] = {1: "grey", 4: "cmyk"}
            return replace(found, bits=body[0], mode=modes.get(body[5], "colour"))
        place += 2 + size
    return found


def _png(data: bytes) -> Encoding:
    found = Encoding("png", _PNG_MODES.get(data[25], "colour"), data[24])
    place = len(_PNG)
    while place + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        if kind == b"eXIf":
            return replace(found, orientation=_exif_orientation(data[place + 8 : place + 8 + size]))
        place += 12 + size
    return found


def _webp(data: bytes) -> Encoding:
    found = Encoding("webp")
    place = 12
    while place + 8 <= len(data):
        kind, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        body = data[place + 8 : place + 8 + size]
        if kind == b"VP8X" and body[0] & 0x10:
            found = replace(found, mode="alpha")
        elif kind == b"VP8 ":
            found = replace(found, lossy=True)
        elif kind == b"EXIF":
            found = replace(found, orientation=_exif_orientation(body.removeprefix(b"Exif\0\0")))
        place += 8 + size + size % 2
    return found


def _bmp_mode(bits: int) -> Mode:
    return "palette" if bits <= 8 else "alpha" if bits == 32 else "colour"


def _tiff(data: bytes) -> Encoding:
    tags = _tags(data)
    samples, photometric = tags.get(_SAMPLES, 1), tags.get(_PHOTOMETRIC, 2)
    mode: Mode = "grey" if samples == 1 else "alpha" if samples in (2, 4) else "colour"
    if photometric in (_TIFF_PALETTE, _TIFF_SEPARATED):
        mode = "palette" if photometric == _TIFF_PALETTE else "cmyk"
    lossy = tags.get(_COMPRESSION) in _TIFF_JPEG
    return Encoding("tiff", mode, tags.get(_BITS, 8), _checked(tags.get(_ORIENTATION, 1)), lossy)


def _exif_orientation(data: bytes) -> int:
    return _checked(_tags(data).get(_ORIENTATION, 1))


def _checked(orientation: int) -> int:
    return orientation if 1 <= orientation <= 8 else 1


def _tags(data: bytes) -> dict[int, int]:
    """Return the first value of each whole-number tag in the first directory of a TIFF."""
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    found = {}
    for number in range(count):
        place = directory + 2 + 12 * number
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, place)
        if kind == 3:  # SHORT: up to two values stand in the entry itself
            at = place + 8 if values <= 2 else struct.unpack_from(f"{order}I", data, place + 8)[0]
            (found[tag],) = struct.unpack_from(f"{order}H", data, at)
        elif kind == 4 and values == 1:
            (found[tag],) = struct.unpack_from(f"{order}I", data, place + 8)
    return found
