"""What every data set is to the rest of edgeseg. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgeseg_runtime.contract import Label
from edgeseg_runtime.preprocess import Image, Mask

IGNORE = 255
"""Value of pixels without a class in every mask a reader returns, whatever the files on disk use."""


@dataclass(frozen=True)
class Sample:
    """A picture and its truth, as stored: not resized, not augmented."""

    image: Image
    """uint8 H×W×3, BGR."""
    mask: Mask
    """uint8 H×W of class indices, IGNORE where there is no class."""


class SegmentationData(Protocol):
    """An indexed set of labelled pictures."""

    @property
    def labels(self) -> tuple[Label, ...]:
        """The class table; a mask value is an index into it."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return what a person calls picture `index` (its file name without suffix)."""
        ...

    def read(self, index: int) -> Sample:
        """Read picture `index`. Raises DatasetError naming the file and the reason."""
        ...
