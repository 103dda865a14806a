"""Do the masks of a video stay the same where the scene does?

Two figures, both along the motion between consecutive frames:

- *consistency*: mean IoU between the mask of a frame and that of the frame before moved onto it, over all pixels whose
  origin lies in the picture (Varghese et al., CVPR Workshops 2020; Liu et al., ECCV 2020). Counts are added up over
  the clip. It needs no truth, and does not forgive a mask that follows a true change.
- *flicker*: of the pixels whose true class is the same as at their origin, the share whose predicted class is not.

A mask that never changes has perfect figures: read them beside the mean IoU against the truth, never alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.metrics import ConfusionMatrix
from edgeseg_runtime.preprocess import Mask

Field: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Origins:
    """Where the pixels of a frame were in the frame before."""

    index: npt.NDArray[np.int32]
    """(n,): places in the earlier frame, counted row by row, of those pixels whose origin lies in the picture."""
    inside: npt.NDArray[np.bool_]
    """H×W: which pixels those are."""

    def of(self, earlier: Mask) -> Mask:
        """Return (n,) what an H×W mask of the earlier frame says at the origins."""
        return np.take(earlier, self.index)


def origins(field: Field) -> Origins:
    """Return the nearest pixel to where `field` (float32 H×W×2: what to add to x, y) says each pixel was."""
    height, width = field.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    x, y = (np.rint(field[..., 0] + columns).astype(np.int32), np.rint(field[..., 1] + rows).astype(np.int32))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return Origins((y * width + x)[inside].astype(np.int32), inside)


class Consistency:
    """Accumulates over consecutive frames."""

    def __init__(self, classes: int, ignore_index: int) -> None:
        self._matrix = ConfusionMatrix(classes, ignore_index)
        self._ignore = ignore_index
        self.steady = 0
        """Pixels whose true class is that of their origin."""
        self.flickering = 0
        """Of those, the pixels whose predicted class is not."""

    def update(self, masks: tuple[Mask, Mask], truths: tuple[Mask, Mask], where: Origins) -> None:
        """Add two consecutive frames, the earlier first, of the predicted masks and of the true ones."""
        (before, now), (true_before, true_now) = masks, truths
        came, is_now = where.of(before), now[where.inside]
        self._matrix.update(came, is_now)
        truth = true_now[where.inside]
        steady = (truth == where.of(true_before)) & (truth != self._ignore)
        self.steady += int(steady.sum())
        self.flickering += int((steady & (came != is_now)).sum())

    @property
    def flicker(self) -> float:
        """Share of the steady pixels, 0..1; NaN with none."""
        return self.flickering / self.steady if self.steady else float("nan")

    @property
    def consistency(self) -> float:
        """Mean IoU, 0..1, over the classes seen; NaN with no pixels."""
        return self._matrix.compute().mean_iou
