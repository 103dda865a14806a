"""Accuracy of a subject over labelled pictures, through its whole deployed path."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Protocol

from edgeseg_runtime.metrics import ConfusionMatrix
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.progress import Progress, silent

NO_CLASS = 255
"""Value of truth pixels that are not scored."""


class Picture(Protocol):
    """A picture and its truth."""

    @property
    def image(self) -> Image:
        """uint8 H×W×3, BGR."""
        ...

    @property
    def mask(self) -> Mask:
        """uint8 H×W of class indices, NO_CLASS where there is none."""
        ...


class Labelled(Protocol):
    """An indexed set of labelled pictures."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Picture:
        """Read picture `index`."""
        ...


class Shown(Protocol):
    """Something with a picture."""

    @property
    def image(self) -> Image:
        """uint8 H×W×3, BGR."""
        ...


class Pictured(Protocol):
    """An indexed set of pictures with a truth that only their scorer reads."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Shown:
        """Read picture `index`."""
        ...


def mean_iou(
    segment: Callable[[Image], Mask], pictures: Labelled, classes: int, label: str, progress: Progress = silent
) -> float | None:
    """Return the mean IoU (0..1) of `segment` over all pictures; None when they hold no class at all."""
    matrix = ConfusionMatrix(classes, NO_CLASS)
    for index in progress(range(len(pictures)), label, len(pictures)):
        picture = pictures.read(index)
        matrix.update(picture.mask, segment(picture.image))
    score = matrix.compute().mean_iou
    return None if isnan(score) else score
