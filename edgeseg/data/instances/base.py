"""What every data set of objects is to the rest of edgeseg. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgeseg_runtime.contract import Label
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.preprocess import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels; the first pixel of a picture reaches from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One object, or a crowd of them that nobody took apart."""

    label: int
    """Class index."""
    region: Region
    """Its pixels, at least one."""
    crowd: bool = False
    """Neither learnt from nor counted as missed; detections in it are not counted as wrong."""

    @property
    def box(self) -> Box:
        """The smallest box that holds its pixels."""
        rows = np.flatnonzero(self.region.inside.any(axis=1))
        columns = np.flatnonzero(self.region.inside.any(axis=0))
        top, left = self.region.top, self.region.left
        return (
            float(left + columns[0]),
            float(top + rows[0]),
            float(left + columns[-1] + 1),
            float(top + rows[-1] + 1),
        )


@dataclass(frozen=True, eq=False)
class InstanceSample:
    """A picture and its objects, as stored: not resized, not augmented."""

    image: Image
    """uint8 H×W×3, BGR."""
    instances: tuple[Instance, ...]
    """None of them, where the picture shows none."""


class InstanceData(Protocol):
    """An indexed set of pictures whose objects are told apart."""

    @property
    def labels(self) -> tuple[Label, ...]:
        """The class table, without background; `Instance.label` is an index into it."""
        ...

    @property
    def description(self) -> str:
        """What was recognised, which split, how many pictures and objects, what was left out: for people."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return what a person calls picture `index` (its file name without suffix)."""
        ...

    def read(self, index: int) -> InstanceSample:
        """Read picture `index`. Raises DatasetError naming the file and the reason."""
        ...
