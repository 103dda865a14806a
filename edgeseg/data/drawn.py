"""The shapes of a picture, drawn: what class masks are painted of, and objects are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgeseg.data.base import IGNORE
from edgeseg.data.files import Pair, Size
from edgeseg_runtime.instances.region import Region, paint
from edgeseg_runtime.preprocess import Mask


@dataclass(frozen=True, eq=False)
class Drawn:
    """A shape of an annotation file."""

    label: int
    """Class index in the layout's table, or IGNORE."""
    region: Region
    """What it covers of the picture; nothing, where it reaches no pixel's centre."""
    crowd: bool = False
    """Whether it is around several objects that nobody took apart."""
    group: str = ""
    """Shapes of one class with the same group are one object; without a group each is its own."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom that the file gives besides; it is compared, never used."""


class ReadShapes(Protocol):
    """Draws the shapes of a pair whose upright picture has `size`. A class, so that workers can be sent one."""

    def __call__(self, pair: Pair, size: Size) -> Sequence[Drawn]:
        """Return the shapes, the front ones last where the format says what is in front. Raises BadFileError."""
        ...


@dataclass(frozen=True)
class PaintedTruth:
    """A class mask of shapes that are painted over each other.

    Crowds are ignored where no object lies on them: their outlines take in what is between the people.
    """

    shapes: ReadShapes
    background: int
    """Class of the pixels of no shape."""
    ordered: bool
    """Whether the format says what is in front; small shapes lie on large ones where it does not."""

    def __call__(self, pair: Pair, size: Size) -> Mask:
        """Draw the mask. Raises BadFileError, naming the shape."""
        shapes = self.shapes(pair, size)
        if not self.ordered:
            shapes = sorted(shapes, key=lambda shape: (not shape.crowd, -shape.region.area))
        mask = np.full(size, self.background, np.uint8)
        front_first = shapes[::-1]
        values = [IGNORE if shape.crowd else shape.label for shape in front_first]
        return paint(mask, [shape.region for shape in front_first], values)
