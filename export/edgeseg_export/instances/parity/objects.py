"""What the gate of instance models looks at: pictures, perhaps with their true objects, and what a path finds there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image

FLOOR = 0.05
"""Score from which candidates are looked at that may be no objects: average precision is about the order of all."""


class TrueObject(Protocol):
    """An object that is truly on a picture."""

    @property
    def label(self) -> int:
        """Class index."""
        ...

    @property
    def region(self) -> Region:
        """Its pixels."""
        ...

    @property
    def crowd(self) -> bool:
        """Whether it is many that nobody took apart: not counted as missed, and detections in it not as wrong."""
        ...


class InstancePicture(NamedTuple):
    """A frame by name, and its true objects if they are known."""

    name: str
    image: Image
    truth: Sequence[TrueObject] | None


class InstancePictures(Protocol):
    """An indexed set of pictures. It is walked through once for every path, so reading may be lazy."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> InstancePicture: ...


@dataclass(frozen=True, eq=False)
class Seen:
    """What a path says about a frame."""

    objects: InstanceResult
    """What it shows: those that its contract's selection takes."""
    candidates: InstanceResult
    """The same with every threshold lowered to FLOOR."""


InstancePath: TypeAlias = Callable[[Image], Seen]
"""A whole deployed path: uint8 BGR frame H×W×3 in, objects out."""
