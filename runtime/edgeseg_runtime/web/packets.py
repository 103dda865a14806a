"""An encoded picture, shared by all who look, and the message that carries it to a page."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.web.layers import Sign


class Kind(Enum):
    """What a picture is made for."""

    VIEW = "view"
    """The page: the bare picture, and the mask as a layer of its own."""
    STREAM = "stream"
    """Other software: the picture with the mask drawn in, reduced."""
    STILL = "still"
    """The same in its own size."""


class Key(NamedTuple):
    """Whose picture, and which."""

    camera: str
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """A shot, and its place among all shots of all cameras, from 1."""

    number: int
    shot: Shot


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """What the encoder made of a take. Holds no pixels but the encoded ones."""

    number: int
    """The take's."""
    camera: str
    frame: int
    captured_at: float
    masked_at: float | None
    fresh: bool
    contract: Contract
    """Of the mask: its labels are the legend."""
    area: tuple[float, ...]
    """Share of the full-size mask that each label covers; empty where there is no mask."""
    size: tuple[int, int]
    """(height, width) of the camera's picture, before it was reduced."""
    jpeg: bytes
    mask: bytes
    """uint8 class indices, row by row, in zlib's format; empty where there is none."""
    mask_size: tuple[int, int]
    signs: tuple[Sign, ...] = ()
    """What is written at objects; empty where nobody follows them."""
    numbers: tuple[int, ...] | None = None
    """How many objects there are of each label; None where the model only tells classes, and where there is no mask."""


def facts(packet: Packet, now: float) -> dict[str, Any]:
    """Return what a page is told with the picture: plain JSON values, ages in milliseconds at `now`."""
    return {
        "camera": packet.camera,
        "frame": packet.frame,
        "fresh": packet.fresh,
        "picture_age_ms": milliseconds(now - packet.captured_at),
        "mask_age_ms": None if packet.masked_at is None else milliseconds(now - packet.masked_at),
        "size": packet.size,
        "mask_size": packet.mask_size,
        "area": [round(share, 6) for share in packet.area],
        "numbers": packet.numbers,
        "signs": packet.signs,
    }


def legend(contract: Contract) -> list[dict[str, Any]]:
    """Return names and colours in class order, as plain JSON values."""
    return [{"name": label.name, "color": list(label.color)} for label in contract.labels]


def pack(header: dict[str, Any], packet: Packet) -> bytes:
    """Return the message: length of the header (uint32, little-endian), header as JSON, JPEG, mask.

    The header gets `jpeg_bytes`; what is left after the picture is the mask.
    """
    text = json.dumps({**header, "jpeg_bytes": len(packet.jpeg)}, allow_nan=False).encode()
    return b"".join((struct.pack("<I", len(text)), text, packet.jpeg, packet.mask))


def milliseconds(seconds: float) -> float:
    """Return a duration for JSON."""
    return round(seconds * 1e3, 1)
