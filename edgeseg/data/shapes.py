"""What people and programs write into annotation files, checked before it is drawn."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.data.base import BadFileError, Rgb, ShapeError
from edgeseg.data.polygons import Points

T = TypeVar("T")

_KINDS = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
_MOST_BYTES = 64 << 20  # of a mask inside a text file, unpacked
_MOST_PIXELS = 1 << 28


@contextmanager
def told_as(path: Path, where: str) -> Iterator[None]:
    """Turn a ShapeError into a BadFileError of `path` that says which shape it was."""
    try:
        yield
    except ShapeError as error:
        raise BadFileError(path, f"{where}: {error}") from error


def need(raw: Any, name: str, kind: type[T]) -> T:
    """Return the field `name` of a JSON object. Raises ShapeError if it is missing or of another kind."""
    if not isinstance(raw, dict):
        raise ShapeError(f"is not an object but {_short(raw)}")
    if name not in raw:
        raise ShapeError(f"has no {name!r}")
    value = raw[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ShapeError(f"{name!r} must be {_KINDS[kind]}, got {_short(value)}")
    return value


def optional_size(raw: dict[str, Any], height: str, width: str) -> tuple[int, int] | None:
    """Return the size that two fields of a JSON object give, None where one is missing or null.

    Raises ShapeError for anything but whole numbers: a size that cannot be compared would check nothing.
    """
    if raw.get(height) is None or raw.get(width) is None:
        return None
    return _whole(raw, height), _whole(raw, width)


def _whole(raw: dict[str, Any], name: str) -> int:
    value = raw[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:  # of infinity, too
        raise ShapeError(f"{name!r} must be a whole number, got {_short(value)}")
    return int(value)


def points(raw: Any, least: int = 3) -> Points:
    """Return [[x, y], …] as an array. Raises ShapeError for fewer than `least` points or anything that is none."""
    if not isinstance(raw, list):
        raise ShapeError(f"points must be a list, got {_short(raw)}")
    for point in raw:
        if not isinstance(point, list) or len(point) != 2 or not all(_is_number(value) for value in point):
            raise ShapeError(f"a point is two finite numbers, got {_short(point)}")
    return _enough(np.array(raw, np.float64).reshape(-1, 2), least)


def flat_points(raw: Any, least: int = 3) -> Points:
    """Return [x, y, x, y, …] as an array. Raises ShapeError as `points` does."""
    if not isinstance(raw, list) or not all(_is_number(value) for value in raw):
        raise ShapeError(f"a polygon is a list of finite numbers x, y, x, y, …, got {_short(raw)}")
    if len(raw) % 2:
        raise ShapeError(f"a polygon needs an even count of numbers, got {len(raw)}")
    return _enough(np.array(raw, np.float64).reshape(-1, 2), least)


def _enough(found: Points, least: int) -> Points:
    if len(found) < least:
        raise ShapeError(f"a shape of at least {least} points is needed, got {len(found)}")
    return found


def number(text: str | None, name: str) -> float:
    """Return a finite number that is written as text. Raises ShapeError."""
    try:
        value = float(text) if text is not None else None
    except ValueError:
        value = None
    if value is None or not isfinite(value):
        raise ShapeError(f"{name!r} must be a number, got {_short(text)}")
    return value


def hex_color(text: Any) -> Rgb | None:
    """Return the colour of `#rrggbb`; None for anything else: a colour is not worth an error."""
    digits = text.removeprefix("#") if isinstance(text, str) else ""
    try:
        return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)) if len(digits) == 6 else None
    except ValueError:
        return None


def embedded_mask(text: str, *, packed: bool) -> npt.NDArray[np.bool_]:
    """Return the mask in a PNG that is written in base64, `packed` by zlib before that or not.

    A PNG with transparency says it by that, any other by what is not 0. Raises ShapeError.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ShapeError("the mask is not base64") from error
    if packed:
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(data, _MOST_BYTES)
        except zlib.error as error:
            raise ShapeError("the mask is not packed by zlib, or damaged") from error
        if not unpacker.eof:
            raise ShapeError(f"the mask is cut off, or larger than {_MOST_BYTES >> 20} MiB")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error:
        image = None
    if image is None or image.size > _MOST_PIXELS:
        raise ShapeError("the mask holds no picture that can be decoded")
    if image.ndim == 3:
        image = image[..., 3] if image.shape[2] == 4 else image.max(axis=2)
    return np.asarray(image != 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15  # NaN is not


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
