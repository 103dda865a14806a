"""What the readers of both kinds of outputs work with and give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.nms import Boxes
from edgeseg_runtime.instances.paste import Patch


@dataclass(frozen=True)
class Placing:
    """How the model's input lies in the frame: a point (x, y) of the input is the frame's (x · across, y · down)."""

    height: int
    """Of the frame."""
    width: int
    across: float
    down: float

    def to_frame(self, boxes: npt.NDArray[np.float32]) -> Boxes:
        """Return boxes of the input, left, top, right, bottom, in pixels of the frame, not clipped."""
        return boxes * np.array([self.across, self.down, self.across, self.down], np.float32)

    def clipped(self, boxes: Boxes) -> Boxes:
        """Return the part of each box of the frame that lies in it; right ≤ left where none does."""
        ends = np.array([self.width, self.height, self.width, self.height], np.float32)
        return np.minimum(np.maximum(boxes, 0), ends)


def solid(boxes: Boxes) -> npt.NDArray[np.bool_]:
    """Tell for each box whether it holds anything."""
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


@dataclass(frozen=True, eq=False)
class Found:
    """The objects of a frame, the surest first; the fields are those of `InstanceResult`."""

    boxes: Boxes
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    patches: tuple[Patch, ...]
