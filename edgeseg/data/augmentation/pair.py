"""What augmentation works on: a picture with its mask, the set that it is part of, and where random numbers come from.

Every step takes its random numbers from the generator that it is given and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator

from edgeseg.data.rare import RareClasses
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image, Mask

PicturedT = TypeVar("PicturedT", bound="Pictured")
PictureT_co = TypeVar("PictureT_co", covariant=True)
AlbumT = TypeVar("AlbumT")


class Pictured(Protocol):
    """A picture with whatever truth: what steps that change nothing but its pixels work on."""

    @property
    def image(self) -> Image:
        """uint8 H×W×3 in the contract's colour order."""
        ...

    def changed(self: PicturedT, image: npt.NDArray[Any]) -> PicturedT:
        """Return the same truth with another uint8 picture."""
        ...


@dataclass(frozen=True)
class Pair:
    """A picture and its truth at the contract's size. No step writes into the arrays that it is given."""

    image: Image
    """uint8 H×W×3 in the contract's colour order."""
    mask: Mask
    """uint8 H×W."""
    wanted: int | None = None
    """Class that the picture was chosen for, which crops keep in sight where it is in the mask."""

    def changed(self, image: npt.NDArray[Any], mask: npt.NDArray[Any] | None = None) -> Pair:
        """Return the pair with another uint8 picture, and with another uint8 mask where there is one."""
        return replace(self, image=image, mask=self.mask if mask is None else mask)


class Pictures(Protocol[PictureT_co]):
    """The pictures that others are mixed with."""

    def __len__(self) -> int: ...

    def picture(self, index: int) -> PictureT_co:
        """Return picture `index` as it is before augmentation."""
        ...


class Album(Pictures[Pair], Protocol):
    """Pictures with masks, which know their rare classes if those are counted."""

    @property
    def rare(self) -> RareClasses:
        """Which classes are rare, and where they are."""
        ...


Vary: TypeAlias = Callable[[PicturedT, Generator], PicturedT]
"""Varies one picture, with whatever truth."""
MixIn: TypeAlias = Callable[[PicturedT, Generator, int, AlbumT], PicturedT]
"""Varies a picture, whose index is given, by means of others."""
Step: TypeAlias = Vary[Pair]
Mix: TypeAlias = MixIn[Pair, Album]


@dataclass(frozen=True)
class Fill:
    """What is seen where there is no picture: the contract's mean colour, and its ignore index."""

    color: tuple[int, int, int]
    label: int

    @classmethod
    def of(cls, contract: Contract) -> Fill:
        """Return the fill of a contract."""
        first, second, third = (round(255 * value) for value in contract.mean)
        return cls((first, second, third), contract.ignore_index)


def seeded(*entropy: int, stream: int = 0) -> Generator:
    """Return a generator whose numbers are a function of `entropy` (not negative) and `stream` alone."""
    state = int(np.random.SeedSequence(entropy, spawn_key=(stream,) if stream else ()).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state & 0x7FFF_FFFF_FFFF_FFFF)


def happens(share: float, generator: Generator) -> bool:
    """Draw whether something happens that does to `share` of the pictures."""
    return float(torch.rand(1, generator=generator)) < share


def uniform(low: float, high: float, generator: Generator) -> float:
    """Draw a number between `low` and `high`."""
    return low + (high - low) * float(torch.rand(1, generator=generator))


def whole(low: int, high: int, generator: Generator) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (1,), generator=generator))
