"""What augmentation of objects works on: a picture with its objects, at the contract's size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg.data.augmentation.pair import MixIn, Pictures, Vary
from edgeseg.data.instances.base import Instance
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.preprocess import Image


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and its objects at the contract's size. No step writes into the arrays that it is given."""

    image: Image
    """uint8 H×W×3 in the contract's colour order."""
    objects: tuple[Instance, ...]
    """Each with at least one pixel, and none outside the picture."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]

    def changed(self, image: npt.NDArray[Any], objects: Iterable[Instance] | None = None) -> Picture:
        """Return another uint8 picture, with other objects where there are some."""
        return Picture(image, self.objects if objects is None else tuple(objects))


Album: TypeAlias = Pictures[Picture]
Step: TypeAlias = Vary[Picture]
Mix: TypeAlias = MixIn[Picture, Album]

LEFT = 0.1
"""Share of its pixels that must be left of an object that something is put over: with less nobody would know it."""


def mapped(objects: Iterable[Instance], change: Callable[[Region], Region]) -> list[Instance]:
    """Return the objects with changed regions, without those that have no pixel any more."""
    changed = (replace(each, region=change(each.region)) for each in objects)
    return [each for each in changed if each.region.inside.size]


def covered(objects: Iterable[Instance], hide: Callable[[Region], Region]) -> list[Instance]:
    """Return what `hide` leaves of the objects, without those of which too little is left; crowds stay to the last."""
    found = []
    for each in objects:
        region = hide(each.region)
        if region.area >= (1 if each.crowd else max(1.0, LEFT * each.region.area)):
            found.append(replace(each, region=region))
    return found


def cover_of(regions: Iterable[Region], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels of a picture of `size` that are in any of the regions."""
    cover = np.zeros(size, np.bool_)
    for region in regions:
        cover[region.window] |= region.inside
    return cover
