"""How alike two files' results are, without truth: what int8 recipes are chosen by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgeseg_export.instances.parity.matching import match
from edgeseg_export.instances.parity.objects import Seen
from edgeseg_export.instances.parity.paths import measured_path
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.segmenter import Segmenter


class Likeness(Protocol):
    """A measure of one kind of results."""

    def results(self, file: Path, pictures: Iterable[Image]) -> list[Any]:
        """Return what a file gives, from picture to result."""
        ...

    def share(self, expected: Sequence[Any], found: Sequence[Any]) -> float:
        """Return how alike results are, 0..1, mean over pictures."""
        ...


class Masks:
    """Of semantic models: the share of pixels with the same class."""

    def results(self, file: Path, pictures: Iterable[Image]) -> list[Mask]:
        """Return the masks that a file draws."""
        segmenter = Segmenter.load(file)
        return [segmenter(picture).mask.copy() for picture in pictures]

    def share(self, expected: Sequence[Mask], found: Sequence[Mask]) -> float:
        """Return the share of equal pixels, mean over pictures."""
        return float(np.mean([(mine == other).mean() for mine, other in zip(expected, found, strict=True)]))


class Objects:
    """Of instance models: panoptic quality, since pixels of the ground would hide what happens to the objects.

    All are alike where no picture shows an object; the first recipe that is tried is then taken.
    """

    def results(self, file: Path, pictures: Iterable[Image]) -> list[Seen]:
        """Return the objects that a file finds."""
        path = measured_path(Segmenter.load(file))
        return [path(picture) for picture in pictures]

    def share(self, expected: Sequence[Seen], found: Sequence[Seen]) -> float:
        """Return `Match.agreement`, mean over pictures."""
        return float(np.mean([match(mine, other).agreement for mine, other in zip(expected, found, strict=True)]))


def likeness_of(contract: Contract) -> Likeness:
    """Return the measure for models of this contract."""
    return Objects() if contract.task == "instance" else Masks()
