"""What an instance model says about one frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.instances.counts import Counts
from edgeseg_runtime.instances.draw import draw_objects
from edgeseg_runtime.instances.draw_counts import draw_counts
from edgeseg_runtime.instances.paste import Patch, paste
from edgeseg_runtime.instances.region import Region, paint
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.result import StageTimes, class_shares

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
    ids: tuple[int, ...] = ()
    """Of each object the number that it keeps from frame to frame, 0 where it has none yet; empty where nobody follows
    them."""
    more: bool = False
    """Whether the model told of more objects than are left here, as many as it may; see `crowded`."""
    counts: Counts | None = None
    """What was counted up to this frame; None where nobody does."""

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def crowded(self) -> bool:
        """Whether the model told of as many objects as it may: there may then be others that it did not tell of."""
        selection = self.contract.selection
        return self.more or (selection is not None and len(self) >= selection.limit)

    def timed(self, times: StageTimes) -> InstanceResult:
        """Return the same with other times."""
        return replace(self, times=times)

    def drawn_on(self, frame: Image, table: Image, opacity: float) -> Image:
        """Return the frame with each object tinted, outlined and named, and what was counted.

        What is of no object stays as it is.
        """
        picture = draw_objects(frame, self, table, opacity)
        if self.counts is not None:
            draw_counts(picture, self.counts)
        return picture

    def area(self) -> dict[str, float]:
        """Return the share of the frame (0..1) that each class covers, by class name; overlaps count once."""
        return class_shares(self.mask, self.contract)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """Each object's pixels."""
        return paste(self.patches, self.boxes, self.height, self.width)

    @cached_property
    def mask(self) -> Mask:
        """uint8, the frame's height and width: the class of the surest object at each pixel, 255 where there is none.

        What works on classes works on this: areas, zones, privacy, recordings.
        """
        empty = np.full((self.height, self.width), NO_CLASS, np.uint8)
        return paint(empty, self.regions, self.labels.tolist())
