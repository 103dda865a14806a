"""What every data set is to the rest of edgeseg. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.instances.region import ShapeError as ShapeError
from edgeseg_runtime.preprocess import Image, Mask

IGNORE = 255
"""Value of pixels without a class in every mask a reader returns, whatever the files on disk use."""
Rgb = tuple[int, int, int]
"""Red, green, blue in 0..255."""


T_co = TypeVar("T_co", covariant=True)


class BadFileError(DatasetError):
    """One file of a data set cannot be used; the message is its path and the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


@dataclass(frozen=True)
class Sample:
    """A picture and its truth, as stored: not resized, not augmented."""

    image: Image
    """uint8 H×W×3, BGR."""
    mask: Mask
    """uint8 H×W of class indices, IGNORE where there is no class."""


class Pictured(Protocol):
    """What holds a picture, whatever is known of it besides."""

    @property
    def image(self) -> Image:
        """uint8 H×W×3, BGR."""
        ...


class Indexed(Protocol[T_co]):
    """What is read by number: a data set of either task, for those who do not ask what its samples hold."""

    def __len__(self) -> int: ...

    def read(self, index: int, /) -> T_co:
        """Read number `index`. Raises DatasetError naming the file and the reason."""
        ...


class SegmentationData(Protocol):
    """An indexed set of labelled pictures."""

    @property
    def labels(self) -> tuple[Label, ...]:
        """The class table; a mask value is an index into it."""
        ...

    @property
    def description(self) -> str:
        """What was recognised, which split, how many pictures, how many bad ones were left out: for people."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return what a person calls picture `index` (its file name without suffix)."""
        ...

    def read(self, index: int) -> Sample:
        """Read picture `index`. Raises DatasetError naming the file and the reason."""
        ...
