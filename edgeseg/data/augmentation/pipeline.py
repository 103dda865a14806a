"""The pieces of a recipe, in order: colour, geometry, mixing, corruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from torch import Generator

from edgeseg.data.augment_config import AugmentConfig, Preset, recipe
from edgeseg.data.augmentation.color import ColorShift
from edgeseg.data.augmentation.corruption import Blur, Cutout, Jpeg, Noise
from edgeseg.data.augmentation.geometry import DOWN, Flip, Warp
from edgeseg.data.augmentation.mixing import ClassMix, CopyPaste, Mosaic
from edgeseg.data.augmentation.pair import Album, Fill, Mix, Pair, PicturedT, Step
from edgeseg.data.augmentation.zoom import ScaleCrop
from edgeseg_runtime.contract import Contract


class Chain(Generic[PicturedT]):
    """Steps one after another; a class, so that worker processes can be sent one."""

    def __init__(self, steps: Sequence[Callable[[PicturedT, Generator], PicturedT]]) -> None:
        self.steps = tuple(steps)

    def __call__(self, picture: PicturedT, generator: Generator) -> PicturedT:
        """Take every step."""
        for step in self.steps:
            picture = step(picture, generator)
        return picture


class Augmentation:
    """Varies picture `index` of an album. What comes out is a function of its arguments."""

    def __init__(self, vary: Step, mixes: Sequence[Mix], spoil: Step) -> None:
        self.vary, self.mixes, self.spoil = vary, tuple(mixes), spoil

    @property
    def counts_classes(self) -> bool:
        """Whether the album must know its rare classes."""
        return any(isinstance(mix, CopyPaste) for mix in self.mixes)

    def __call__(self, pair: Pair, generator: Generator, index: int, album: Album) -> Pair:
        """Vary the picture, mix others in, which are varied alike, and spoil what came out."""
        pair = self.vary(pair, generator)
        for mix in self.mixes:
            pair = mix(pair, generator, index, album)
        return self.spoil(pair, generator)


def augmentation(preset: Preset, contract: Contract, own: AugmentConfig | None = None) -> Augmentation:
    """Build a preset, changed by `own`; `none` leaves pictures as the runtime's preprocessing made them.

    What lies outside the picture is filled with the contract's mean colour and its ignore index. Raises ConfigError.
    """
    settings, fill = recipe(preset, own), Fill.of(contract)
    vary = Chain(_single(settings, fill))
    mixes: list[Mix] = []
    if settings.mosaic:
        mixes.append(Mosaic(settings.mosaic, vary))
    if settings.classmix:
        mixes.append(ClassMix(settings.classmix, vary, fill))
    if settings.copy_paste:
        mixes.append(CopyPaste(settings.copy_paste, vary))
    return Augmentation(vary, mixes, Chain(_spoiling(settings, contract, fill)))


def _single(settings: AugmentConfig, fill: Fill) -> list[Step]:
    # Colour comes first: the fill is then the mean colour itself, and no part of what colours are measured on.
    steps: list[Step] = []
    if settings.color:
        steps.append(ColorShift(settings.color))
    if settings.hflip:
        steps.append(Flip(settings.hflip))
    if settings.vflip:
        steps.append(Flip(settings.vflip, DOWN))
    strengths = [value or 0.0 for value in (settings.rotate, settings.shear, settings.translate, settings.perspective)]
    if settings.warp and any(strengths):
        steps.append(Warp(settings.warp, fill, *strengths))
    scale = settings.zoom_out or 1.0, settings.zoom_in or 1.0
    if scale != (1.0, 1.0):
        steps.append(ScaleCrop(scale, fill, settings.class_crop or 0.0))
    return steps


def _spoiling(settings: AugmentConfig, contract: Contract, fill: Fill) -> list[Step]:
    # In the order in which it happens to a picture: the lens, the sensor, the encoder. What is cut out stays flat.
    steps: list[Step] = []
    if settings.blur:
        steps.append(Blur(settings.blur))
    if settings.noise:
        steps.append(Noise(settings.noise))
    if settings.jpeg:
        steps.append(Jpeg(settings.jpeg, contract.color_order))
    if settings.cutout:
        steps.append(Cutout(settings.cutout, fill))
    return steps
