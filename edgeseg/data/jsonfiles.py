"""JSON files, small and very large."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgeseg.data.base import BadFileError

LARGEST = 2 << 30
"""Bytes of a JSON file; COCO's largest has half a billion."""
_SPACE = re.compile(r"[ \t\r\n]*")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises BadFileError."""
    return _parsed(path, _bytes(path))


class Item(NamedTuple):
    """An element of one of the lists in a JSON file's object."""

    name: str
    """Which list."""
    value: Any
    start: int
    end: int
    """Its bytes in the file."""


def list_items(path: Path) -> Iterator[Item]:
    """Yield the elements of the lists in a JSON file's top object, one after another, and nothing else of it.

    Parsed whole, a file of COCO's would take eight times its size in memory. Raises BadFileError.
    """
    data = _bytes(path)
    # One character a byte, so that places in the text are places in the file.
    text = data.decode("latin-1")
    plain = text.isascii()
    decoder = json.JSONDecoder()
    try:
        place = _after(text, 3 if data.startswith(b"\xef\xbb\xbf") else 0, "{", path)
        while text[place : place + 1] != "}":
            name, place = decoder.raw_decode(text, place)
            place = _after(text, place, ":", path)
            if text[place : place + 1] != "[":
                _, place = decoder.raw_decode(text, place)
            else:
                place = _after(text, place, "[", path)
                while text[place : place + 1] != "]":
                    start = place
                    value, place = decoder.raw_decode(text, place)
                    yield Item(name, value if plain else _parsed(path, data[start:place]), start, place)
                    place = _next(text, place, "]", path)
                place += 1
            place = _next(text, place, "}", path)
    except (ValueError, RecursionError) as error:
        raise BadFileError(path, f"is not JSON: {error}") from error


def read_span(path: Path, start: int, end: int) -> Any:
    """Return the element that `list_items` found at these bytes. Raises BadFileError, also if the file has changed."""
    try:
        with path.open("rb") as handle:
            handle.seek(start)
            return json.loads(handle.read(end - start))
    except (OSError, ValueError) as error:
        raise BadFileError(path, "has changed since it was opened") from error


def _after(text: str, place: int, mark: str, path: Path) -> int:
    place = _SPACE.match(text, place).end()  # type: ignore[union-attr] # it matches nothing, too
    if text[place : place + 1] != mark:
        raise BadFileError(path, f"is not JSON: {mark!r} is missing at byte {place}")
    return _SPACE.match(text, place + 1).end()  # type: ignore[union-attr]


def _next(text: str, place: int, last: str, path: Path) -> int:
    """Step over a comma, or stop at `last`."""
    place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
    return place if text[place : place + 1] == last else _after(text, place, ",", path)


def _bytes(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise BadFileError(path, f"has {size / 2**30:.1f} GiB; at most {LARGEST >> 30} are read: divide it")
        return path.read_bytes()
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error


def _parsed(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadFileError(path, f"is not JSON: {error}") from error
