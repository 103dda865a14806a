"""How pictures of objects are varied for training: colour, geometry, mixing, corruption, in this order."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from edgeseg.data.augment_config import WARPS, AugmentConfig, Preset, recipe
from edgeseg.data.augmentation.color import ColorShift
from edgeseg.data.augmentation.corruption import Blur, Jpeg, Noise
from edgeseg.data.augmentation.geometry import DOWN, Warp
from edgeseg.data.augmentation.pair import Fill
from edgeseg.data.augmentation.pipeline import Chain
from edgeseg.data.instances.geometry import Cutout, Mirror, ScaleJitter, Turn
from edgeseg.data.instances.mixing import CopyPaste, Mosaic
from edgeseg.data.instances.picture import Album, Mix, Picture, Step
from edgeseg_runtime.contract import Contract


class InstanceAugment:
    """Varies picture `index` of an album. What comes out is a function of its arguments."""

    def __init__(self, vary: Step, mixes: Sequence[Mix], spoil: Step) -> None:
        self.vary, self.mixes, self.spoil = vary, tuple(mixes), spoil

    def __call__(self, picture: Picture, generator: Generator, index: int, album: Album) -> Picture:
        """Vary the picture, mix others in, which are varied alike, and spoil what came out."""
        picture = self.vary(picture, generator)
        for mix in self.mixes:
            picture = mix(picture, generator, index, album)
        return self.spoil(picture, generator)


def instance_augmentation(preset: Preset, contract: Contract, own: AugmentConfig | None = None) -> InstanceAugment:
    """Build a preset, changed by `own`; `none` leaves pictures as the runtime's preprocessing made them.

    `strong` has large-scale jitter and copy-paste. What lies outside the picture is filled with the contract's mean
    colour. Raises ConfigError.
    """
    settings, fill = recipe(preset, own, "instance"), Fill.of(contract)
    vary = Chain[Picture](_single(settings, fill))
    mixes: list[Mix] = []
    if settings.mosaic:
        mixes.append(Mosaic(settings.mosaic, vary))
    if settings.copy_paste:
        mixes.append(CopyPaste(settings.copy_paste, vary))
    return InstanceAugment(vary, mixes, Chain[Picture](_spoiling(settings, contract, fill)))


def _single(settings: AugmentConfig, fill: Fill) -> list[Step]:
    # Colour comes first: the fill is then the mean colour itself, and no part of what colours are measured on.
    steps: list[Step] = []
    if settings.color:
        steps.append(ColorShift(settings.color))
    if settings.hflip:
        steps.append(Mirror(settings.hflip))
    if settings.vflip:
        steps.append(Mirror(settings.vflip, DOWN))
    strengths = [getattr(settings, name) or 0.0 for name in WARPS]
    if settings.warp and any(strengths):
        steps.append(Turn(Warp(settings.warp, fill, *strengths)))
    scale = settings.zoom_out or 1.0, settings.zoom_in or 1.0
    if scale != (1.0, 1.0):
        steps.append(ScaleJitter(scale, fill.color))
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
        steps.append(Cutout(settings.cutout, fill.color))
    return steps
