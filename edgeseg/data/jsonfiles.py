"""JSON files, small and very large."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from edgeseg.data.base import BadFileError

LARGEST = 2 << 30
"""Bytes of a JSON file that is read whole."""
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
_BEHIND = frozenset(" \t\r\n:,]}")
_BYTE_ORDER_MARK = "\xef\xbb\xbf"
_PIECE = 1 << 20
_LONGEST = 64 << 20
"""Bytes of a value of which only a part is in memory yet: a value that is longer is taken for damage."""


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

    The file is read piece by piece: parsed whole, one of COCO's would take eight times its size in memory. Raises
    BadFileError.
    """
    try:
        with path.open("rb") as handle:
            yield from _items(_Window(path, handle))
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error


def _items(window: _Window) -> Iterator[Item]:
    window.step_over("{")
    while window.mark() != "}":
        name = window.value()
        window.step_over(":")
        if window.mark() == "[":
            window.step_over("[")
            while window.mark() != "]":
                start = window.position
                value = window.value()
                yield Item(name, value, start, window.position)
                window.step_on("]")
            window.step_over("]")
        else:
            window.value()
        window.step_on("}")


class _Window:
    """The part of a JSON file that is in memory, and a place in it: where the next mark or value begins."""

    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self._path, self._handle = path, handle
        # One character a byte, so that places in the text are places in the file.
        self._text, self._place, self._before, self._ended = "", 0, 0, False
        self._more()
        if self._text.startswith(_BYTE_ORDER_MARK):
            self._place = len(_BYTE_ORDER_MARK)

    @property
    def position(self) -> int:
        """Bytes of the file before the place, once `mark` has stepped over blanks."""
        return self._before + self._place

    def mark(self) -> str:
        """Step over blanks; return the character there, nothing at the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._place)
            assert match is not None, "it matches nothing, too"
            self._place = match.end()
            if self._place < len(self._text) or not self._more():
                return self._text[self._place : self._place + 1]

    def step_over(self, mark: str) -> None:
        """Step over a mark and the blanks before it. Raises BadFileError if it is not there."""
        if self.mark() != mark:
            raise BadFileError(self._path, f"is not JSON: {mark!r} is missing at byte {self.position}")
        self._place += 1

    def step_on(self, last: str) -> None:
        """Step over a comma and the blanks after it, or stop at `last`. Raises BadFileError."""
        if self.mark() != last:
            self.step_over(",")
            self.mark()

    def value(self) -> Any:
        """Return the value that begins here and step over it. Raises BadFileError."""
        self.mark()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
                # Without a mark behind it, a number may go on in what is not in memory yet.
                if self._text[end : end + 1] in _BEHIND or not self._more():
                    break
            except (ValueError, RecursionError) as error:
                if not self._more():
                    raise BadFileError(self._path, f"is not JSON: {error}") from error
        raw = self._text[self._place : end]
        self._place = end
        return value if raw.isascii() else _parsed(self._path, raw.encode("latin-1"))

    def _more(self) -> bool:
        """Read on and forget what is behind; False at the end of the file, or if a value is longer than any is.

        Each time twice as much, so that a long value is not parsed over and over again.
        """
        kept = len(self._text) - self._place
        if self._ended or kept > _LONGEST:
            return False
        data = self._handle.read(max(_PIECE, kept))
        self._text = self._text[self._place :] + data.decode("latin-1")
        self._before, self._place = self._before + self._place, 0
        self._ended = not data
        return bool(data)


def read_span(path: Path, start: int, end: int) -> Any:
    """Return the element that `list_items` found at these bytes. Raises BadFileError, also if the file has changed."""
    try:
        with path.open("rb") as handle:
            handle.seek(start)
            return json.loads(handle.read(end - start))
    except (OSError, ValueError) as error:
        raise BadFileError(path, "has changed since it was opened") from error


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
