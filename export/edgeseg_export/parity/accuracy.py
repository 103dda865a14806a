"""A path against the truth, kept as counts a picture, so that any resampling of the pictures is a matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeseg_export.parity.boundary import boundary_f, contour_map, contour_tolerance, match_contours
from edgeseg_export.parity.pictures import IGNORE
from edgeseg_runtime.metrics import confusion_counts
from edgeseg_runtime.preprocess import Mask

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Accuracy:
    """Counts of one path against the truth of n pictures."""

    hits: Counts
    """(n, classes): pixels of a class that are called so."""
    truth: Counts
    """(n, classes): pixels of a class."""
    predicted: Counts
    """(n, classes): pixels called a class."""
    contours: Counts
    """(n, classes, 4): see `boundary.match_contours`."""

    @classmethod
    def stack(cls, rows: list[tuple[Counts, Counts]]) -> Accuracy:
        """Collect what `score_picture` returned for each picture."""
        confusions = np.stack([confusion for confusion, _ in rows])
        contours = np.stack([contour for _, contour in rows])
        return cls(np.diagonal(confusions, axis1=1, axis2=2), confusions.sum(2), confusions.sum(1), contours)

    def iou(self, weights: Floats | None = None) -> Floats:
        """Return IoU per class (classes,); with weights (resamples, n), one row a resample.

        NaN where the truth of the pictures holds no pixel of the class: a class that is not there has no IoU to lose,
        and the same classes are averaged for every path.
        """
        rows = np.ones((1, len(self.hits))) if weights is None else weights
        hits, truth, predicted = rows @ self.hits, rows @ self.truth, rows @ self.predicted
        union = np.maximum(truth + predicted - hits, 1)  # never 0 where truth > 0
        iou: Floats = np.where(truth > 0, hits / union, np.nan)
        return iou[0] if weights is None else iou

    def boundary_f(self) -> Floats:
        """Return the boundary F-measure per class; NaN where the truth has no contour of the class."""
        return boundary_f(self.contours.sum(0))


def score_picture(truth: Mask, mask: Mask, classes: int, contour_share: float) -> tuple[Counts, Counts]:
    """Return the confusion (classes, classes; rows truth) and the contour counts (classes, 4) of one picture."""
    tolerance = contour_tolerance(mask.shape[0], mask.shape[1], contour_share)
    contours = match_contours(contour_map(mask, truth, IGNORE), contour_map(truth, truth, IGNORE), tolerance, classes)
    return confusion_counts(truth, mask, classes, IGNORE), contours


def mean_over(values: Floats, chosen: npt.NDArray[np.bool_]) -> Floats:
    """Average the last axis over the chosen classes that have a value; NaN where none has."""
    kept = chosen & np.isfinite(values)
    count = kept.sum(-1)
    total = np.where(kept, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
