"""Which other files an ONNX model wants to read: found without the onnx package and without loading the model.

An ONNX file is a protobuf message (https://protobuf.dev/programming-guides/encoding/). Only the fields through which a
tensor can be reached are followed, wherever they occur; everything else is stepped over.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from edgeseg_runtime.errors import ModelFileError

# The messages of onnx.proto that lead to a TensorProto, each with the numbers of the fields that do.
_ROUTES: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

MAX_DEPTH = 100
"""Messages inside messages; protobuf's own readers stop there too."""
MAX_FIELDS = 5_000_000
"""A network of ten thousand nodes has about half a million."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Buffer: TypeAlias = "bytes | mmap.mmap"


def external_files(path: Path) -> frozenset[str]:
    """Return the locations of all external data that the ONNX file names, as they are written there.

    Raises ModelFileError for a file that cannot be read or is no whole protobuf message.
    """
    try:
        with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return frozenset(locations(data))
    except (OSError, ValueError) as error:  # mmap refuses an empty file with ValueError
        raise ModelFileError(f"{path} is no ONNX model: {error}") from error


def locations(data: Buffer) -> Iterator[str]:
    """Yield every location that a serialised ModelProto names. Raises ValueError where it is malformed."""
    # A stack in place of recursion: the depth is the file's to choose.
    stack = [("Model", _fields(data, 0, len(data)))]
    seen = 0
    while stack:
        message, fields = stack[-1]
        field = next(fields, None)
        if field is None:
            stack.pop()
            continue
        seen += 1
        if seen > MAX_FIELDS:
            raise ValueError(f"it has more than {MAX_FIELDS} fields")
        number, begin, end = field
        inner = _ROUTES[message].get(number) if begin >= 0 else None
        if inner == "Entry":
            yield from _location(data, begin, end)
        elif inner is not None:
            stack.append((inner, _fields(data, begin, end)))
            if len(stack) > MAX_DEPTH:
                raise ValueError(f"its messages are nested deeper than {MAX_DEPTH}")


def _location(data: Buffer, start: int, end: int) -> Iterator[str]:
    """Read a StringStringEntryProto. A field that occurs twice is decided by its reader: here every value counts."""
    keys: list[bytes] = []
    values: list[bytes] = []
    for number, begin, stop in _fields(data, start, end):
        if begin >= 0 and number == _ENTRY_KEY:
            keys.append(data[begin:stop])
        elif begin >= 0 and number == _ENTRY_VALUE:
            values.append(data[begin:stop])
    if b"location" in keys:
        for value in values or [b""]:
            yield value.decode(errors="surrogateescape")


def _fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (field number, begin, stop) of each field; begin is -1 for those that are not length-delimited."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end, 5)
        number, kind = tag >> 3, tag & 7
        if number == 0 or tag >= 1 << 32:
            raise ValueError("it has a field with an impossible number")
        begin = -1
        if kind == _VARINT:
            _, at = _varint(data, at, end, 10)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        elif kind == _BYTES:
            length, begin = _varint(data, at, end, 5)
            at = begin + length
        else:  # groups, which ONNX never had, and numbers that mean nothing
            raise ValueError(f"it has a field of the unknown kind {kind}")
        if at > end:
            raise ValueError("a part of it is missing")
        yield number, begin, at


def _varint(data: Buffer, at: int, end: int, longest: int) -> tuple[int, int]:
    """Read a number of up to `longest` bytes, seven bits each; return it and where the next field begins."""
    value = 0
    for shift in range(longest):
        if at >= end:
            raise ValueError("a part of it is missing")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at
    raise ValueError("it has a number that never ends")
