"""Scoring: masks made through the deployed path against the truth, at the truth's own size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edgeseg.data.base import IGNORE, SegmentationData
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.metrics import ConfusionMatrix, Scores
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.progress import Progress, silent


def evaluate(
    segment: Callable[[Image], Mask],
    data: SegmentationData,
    names: tuple[str, ...],
    progress: Progress = silent,
) -> Scores:
    """Return the scores of `segment`, a map from a BGR frame to a mask of its size, over all of `data`.

    Raises DatasetError when the data's classes are not the model's, or no pixel of it is labelled.
    """
    check_classes(data, names)
    matrix = ConfusionMatrix(len(names), IGNORE)
    for index in progress(range(len(data)), "scoring", len(data)):
        sample = data.read(index)
        matrix.update(sample.mask, segment(sample.image))
    if not matrix.counts.any():
        raise DatasetError(f"there is nothing to score: none of the {len(data)} pictures has a labelled pixel")
    return matrix.compute()


class Labelled(Protocol):
    """What has a class table."""

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes, by index."""
        ...


def check_classes(data: Labelled, names: tuple[str, ...]) -> None:
    """Raise DatasetError unless the data's class table is `names`, in this order."""
    found = tuple(label.name for label in data.labels)
    if found != names:
        raise DatasetError(
            f"the model knows {len(names)} classes ({', '.join(names)}), the pictures have {len(found)} "
            f"({', '.join(found)}); they must be the same, in the same order"
        )
