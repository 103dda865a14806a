"""What the gate looks at: pictures, perhaps with their truth, and paths that turn a picture into a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from edgeseg_runtime.preprocess import Image, Mask

IGNORE = 255
"""Truth value of pixels without a class."""

Path: TypeAlias = Callable[[Image], Mask]
"""A whole deployed path: uint8 BGR frame H×W×3 in, uint8 mask H×W out, resizing and decoding included."""


class Picture(NamedTuple):
    """A frame by name, and what is truly on it if that is known."""

    name: str
    image: Image
    truth: Mask | None


class Pictures(Protocol):
    """An indexed set of pictures. It is walked through once for every path, so reading may be lazy."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Picture: ...
