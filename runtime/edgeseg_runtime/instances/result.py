"""What an instance model says about one frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.instances.paste import Patch, paste
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.result import StageTimes

NO_CLASS = 255
"""Value of pixels of no object in `InstanceResult.mask`."""


@dataclass(frozen=True, eq=False)
class InstanceResult:
    """The objects of a frame, the surest first. Their masks are pasted when they are asked for."""

    boxes: npt.NDArray[np.float32]
    """(n, 4): left, top, right, bottom in pixels of the frame, whose first pixel reaches from 0 to 1."""
    scores: npt.NDArray[np.float32]
    """(n,) in 0..1, falling."""
    labels: npt.NDArray[np.uint8]
    """(n,) class indices: `i` is `contract.labels[i]`."""
    patches: tuple[Patch, ...]
    height: int
    """Of the frame."""
    width: int
    contract: Contract
    times: StageTimes

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """Each object's pixels."""
        return tuple(
            paste(patch, box, self.height, self.width) for patch, box in zip(self.patches, self.boxes, strict=True)
        )

    @cached_property
    def mask(self) -> Mask:
        """uint8, the frame's height and width: the class of the surest object at each pixel, 255 where there is none.

        What works on classes works on this: areas, zones, privacy, recordings.
        """
        mask = np.full((self.height, self.width), NO_CLASS, np.uint8)
        for label, region in zip(self.labels[::-1], self.regions[::-1], strict=True):
            rows, columns = region.inside.shape
            mask[region.top : region.top + rows, region.left : region.left + columns][region.inside] = label
        return mask
