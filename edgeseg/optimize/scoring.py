"""mIoU of a few pictures, and how high that of all of them may still be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeseg.data.base import IGNORE, Sample, SegmentationData
from edgeseg.optimize.measurements import Estimate
from edgeseg_export.parity.bootstrap import interval
from edgeseg_runtime.contract import Label
from edgeseg_runtime.metrics import Scores, confusion_counts
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.progress import Progress, silent

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RESAMPLES, SEED = 2000, 0


@dataclass(frozen=True)
class Subset:
    """Some pictures of a data set, spread evenly over it."""

    data: SegmentationData
    indices: tuple[int, ...]

    @classmethod
    def of(cls, data: SegmentationData, count: int) -> Subset:
        """Take `count` pictures, or all where there are no more."""
        total = len(data)
        return cls(data, tuple(sorted({number * total // count for number in range(count)})))

    @property
    def labels(self) -> tuple[Label, ...]:
        """See SegmentationData."""
        return self.data.labels

    @property
    def description(self) -> str:
        """See SegmentationData."""
        return f"{len(self)} of the pictures of {self.data.description}"

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        """See SegmentationData."""
        return self.data.name(self.indices[index])

    def read(self, index: int) -> Sample:
        """See SegmentationData."""
        return self.data.read(self.indices[index])


def confusions(segment: Callable[[Image], Mask], data: SegmentationData, label: str, progress: Progress) -> Counts:
    """Return the confusion matrix of each picture: int64 (pictures, classes, classes), rows truth."""
    classes = len(data.labels)
    found = []
    for index in progress(range(len(data)), label, len(data)):
        sample = data.read(index)
        found.append(confusion_counts(sample.mask, segment(sample.image), classes, IGNORE))
    return np.stack(found)


def mean_iou(counts: Counts | Floats) -> Floats:
    """Return the mIoU of (…, classes, classes) confusion matrices, as `edgeseg eval` defines it."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    union = counts.sum(-1) + counts.sum(-2) - hits
    present = union > 0
    iou = np.divide(hits, union, out=np.zeros_like(hits), where=present)
    seen = present.sum(-1)
    means: Floats = np.divide(iou.sum(-1), seen, out=np.full(seen.shape, np.nan), where=seen > 0)
    return means


def estimate(original: Counts, variant: Counts, original_mean_iou: float, *, complete: bool = False) -> Estimate:
    """Return what a few pictures tell of a variant, given both confusions on them and the original's mIoU on all.

    The ceiling is the original's mIoU less the lower end of the 95 % paired bootstrap interval of the drop. One
    picture bounds nothing; `complete` says that these are all pictures there are.
    """
    score = Scores(variant.sum(0)).mean_iou
    if complete:
        return Estimate(score, score)
    classes = original.shape[-1]

    def drop(weights: Floats) -> Floats:
        sums = [
            (weights @ counts.reshape(len(counts), -1)).reshape(-1, classes, classes) for counts in (original, variant)
        ]
        return mean_iou(sums[0]) - mean_iou(sums[1])

    bounds = interval(drop, len(original), resamples=RESAMPLES, seed=SEED)
    return Estimate(score, 1.0 if bounds is None else min(1.0, original_mean_iou - bounds[0]))


def quick_estimate(
    segment: Callable[[Image], Mask],
    reference: Counts,
    data: Subset,
    original_mean_iou: float,
    label: str,
    progress: Progress = silent,
) -> Estimate:
    """Score `segment` on a subset beside the original's confusions on it."""
    counts = confusions(segment, data, label, progress)
    return estimate(reference, counts, original_mean_iou, complete=len(data) == len(data.data))
