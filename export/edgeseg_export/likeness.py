"""How alike two files' results are, without truth: what int8 recipes are chosen by, and layers ranked by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from edgeseg_export.instances.parity.matching import match
from edgeseg_export.instances.parity.objects import Seen
from edgeseg_export.instances.parity.paths import TwoDecoders, measured_path
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.decode import SemanticDecoder
from edgeseg_runtime.engines.base import Raw
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.segmenter import Segmenter

Decode: TypeAlias = Callable[[Raw, int, int], Any]
"""From what a model gives for a picture, and a height and width, to a result of that size."""


class Likeness(Protocol):
    """A measure of one kind of results."""

    def decoder(self, contract: Contract) -> Decode:
        """Return what makes results of a model's outputs."""
        ...

    def results(self, file: Path, pictures: Iterable[Image]) -> list[Any]:
        """Return what a file gives, from picture to result."""
        ...

    def share(self, expected: Sequence[Any], found: Sequence[Any]) -> float:
        """Return how alike results are, 0..1, mean over pictures."""
        ...

    def unlike(self, expected: Any, found: Any) -> float:
        """Return how far two results of one picture are from being alike, 0..1."""
        ...


class Masks:
    """Of semantic models: the share of pixels with the same class."""

    def decoder(self, contract: Contract) -> Decode:
        """Return what makes masks."""
        decode = SemanticDecoder(contract)
        return lambda raw, height, width: decode(raw, height, width).mask

    def results(self, file: Path, pictures: Iterable[Image]) -> list[Mask]:
        """Return the masks that a file draws."""
        segmenter = Segmenter.load(file)
        return [segmenter(picture).mask.copy() for picture in pictures]

    def share(self, expected: Sequence[Mask], found: Sequence[Mask]) -> float:
        """Return the share of equal pixels, mean over pictures."""
        return float(np.mean([(mine == other).mean() for mine, other in zip(expected, found, strict=True)]))

    def unlike(self, expected: Mask, found: Mask) -> float:
        """Return the share of pixels that have another class."""
        return float((expected != found).mean())


class Objects:
    """Of instance models: panoptic quality, since pixels of the ground would hide what happens to the objects.

    All are alike where no picture shows an object; the first recipe that is tried is then taken.
    """

    def decoder(self, contract: Contract) -> Decode:
        """Return what makes objects, and those that nearly are."""
        return TwoDecoders(contract)

    def results(self, file: Path, pictures: Iterable[Image]) -> list[Seen]:
        """Return the objects that a file finds."""
        path = measured_path(Segmenter.load(file))
        return [path(picture) for picture in pictures]

    def share(self, expected: Sequence[Seen], found: Sequence[Seen]) -> float:
        """Return `Match.agreement`, mean over pictures."""
        return float(np.mean([match(mine, other).agreement for mine, other in zip(expected, found, strict=True)]))

    def unlike(self, expected: Seen, found: Seen) -> float:
        """Return what `Match.agreement` lacks to 1."""
        return 1 - match(expected, found).agreement


def likeness_of(contract: Contract) -> Likeness:
    """Return the measure for models of this contract."""
    return Objects() if contract.task == "instance" else Masks()
