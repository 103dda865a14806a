"""Which classes are rare, and which pictures hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator

from edgeseg_runtime.errors import DatasetError

LEAST = 0.0005
"""Share of a picture's pixels from which on it holds a class: 86 pixels of 360×480."""


@dataclass(frozen=True)
class RareClasses:
    """The distribution of rare-class sampling (DAFormer, arXiv:2111.14887).

    A class with the share f of all labelled pixels has a probability in proportion to exp((1 - f) / temperature);
    then each picture that holds it is as likely. High temperatures make all classes equal, low ones leave only the
    rarest.
    """

    probabilities: npt.NDArray[np.float64]
    """Of each class; 0 for those that are in no picture."""
    holders: Sequence[npt.NDArray[np.int64]]
    """For each class the pictures that hold it."""

    @classmethod
    def of(cls, counts: npt.NDArray[np.int64], pixels: int, temperature: float) -> RareClasses:
        """Return the distribution for pictures of `pixels` pixels with `counts` (pictures × classes) of each class.

        A picture holds a class from LEAST of its pixels on, or from what the class has at most if that is less.
        Raises DatasetError when no picture has a labelled pixel.
        """
        totals = counts.sum(0)
        if not totals.any():
            raise DatasetError("no picture has a labelled pixel, so there are no rare classes to draw")
        exponents = np.where(totals > 0, (1 - totals / totals.sum()) / temperature, -np.inf)
        weights = np.exp(exponents - exponents.max())
        least = np.maximum(1, np.minimum(LEAST * pixels, counts.max(0)))
        holders = tuple(np.flatnonzero(column >= bound) for column, bound in zip(counts.T, least, strict=True))
        return cls(weights / weights.sum(), holders)

    def draws(self, count: int, generator: Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Draw `count` classes and for each a picture that holds it."""
        which, where = torch.rand(2, count, generator=generator, dtype=torch.float64).numpy()
        bounds = np.cumsum(self.probabilities)
        labels = np.searchsorted(bounds / bounds[-1], which, side="right")
        sizes = np.array([len(pictures) for pictures in self.holders])[labels]
        places = (where * sizes).astype(np.int64)
        pictures = [self.holders[label][place] for label, place in zip(labels, places, strict=True)]
        return labels.astype(np.int64), np.array(pictures, np.int64)

    def draw(self, generator: Generator) -> tuple[int, int]:
        """Draw a class and a picture that holds it."""
        labels, pictures = self.draws(1, generator)
        return int(labels[0]), int(pictures[0])
