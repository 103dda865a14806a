"""The pieces of a recipe, in order: colour, geometry, mixing, corruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from torch import Generator

from edgeseg.data.augment_config import WARPS, AugmentConfig, Preset, recipe
from edgeseg.data.augmentation.color import ColorShift
from edgeseg.data.augmentation.corruption import Blur, Cutout, Jpeg, Noise
from edgeseg.data.augmentation.geometry import ACROSS, DOWN, Flip, Warp
from edgeseg.data.augmentation.mixing import ClassMix, CopyPaste, Mosaic
from edgeseg.data.augmentation.pair import Album, AlbumT, Fill, Mix, MixIn, Pair, PicturedT, Vary
from edgeseg.data.augmentation.zoom import ScaleCrop
from edgeseg_runtime.contract import Contract


class Chain(Generic[PicturedT]):
    """Steps one after another; a class, so that worker processes can be sent one."""

    def __init__(self, steps: Sequence[Vary[PicturedT]]) -> None:
        self.steps = tuple(steps)

    def __call__(self, picture: PicturedT, generator: Generator) -> PicturedT:
        """Take every step."""
        for step in self.steps:
            picture = step(picture, generator)
        return picture


class Augmentation(Generic[PicturedT, AlbumT]):
    """Varies picture `index` of an album. What comes out is a function of its arguments."""

    def __init__(
        self, vary: Vary[PicturedT], mixes: Sequence[MixIn[PicturedT, AlbumT]], spoil: Vary[PicturedT]
    ) -> None:
        self.vary, self.mixes, self.spoil = vary, tuple(mixes), spoil

    def __call__(self, picture: PicturedT, generator: Generator, index: int, album: AlbumT) -> PicturedT:
        """Vary the picture, mix others in, which are varied alike, and spoil what came out."""
        picture = self.vary(picture, generator)
        for mix in self.mixes:
            picture = mix(picture, generator, index, album)
        return self.spoil(picture, generator)


class MaskAugmentation(Augmentation[Pair, Album]):
    """Varies pictures with masks."""

    @property
    def counts_classes(self) -> bool:
        """Whether the album must know its rare classes."""
        return any(isinstance(mix, CopyPaste) for mix in self.mixes)


def augmentation(preset: Preset, contract: Contract, own: AugmentConfig | None = None) -> MaskAugmentation:
    """Build a preset, changed by `own`; `none` leaves pictures as the runtime's preprocessing made them.

    What lies outside the picture is filled with the contract's mean colour and its ignore index. Raises ConfigError.
    """
    settings, fill = recipe(preset, own), Fill.of(contract)
    vary: Chain[Pair] = Chain(
        varying(
            settings,
            contract,
            flip=Flip,
            warp=lambda warp: warp,
            zoom=lambda scale: ScaleCrop(scale, fill, settings.class_crop or 0.0),
        )
    )
    mixes: list[Mix] = []
    if settings.mosaic:
        mixes.append(Mosaic(settings.mosaic, vary))
    if settings.classmix:
        mixes.append(ClassMix(settings.classmix, vary, fill))
    if settings.copy_paste:
        mixes.append(CopyPaste(settings.copy_paste, vary))
    spoil: Chain[Pair] = Chain(spoiling(settings, contract, lambda share: Cutout(share, fill)))
    return MaskAugmentation(vary, mixes, spoil)


def varying(
    settings: AugmentConfig,
    contract: Contract,
    *,
    flip: Callable[[float, int], Vary[PicturedT]],
    warp: Callable[[Warp], Vary[PicturedT]],
    zoom: Callable[[tuple[float, float]], Vary[PicturedT]],
) -> list[Vary[PicturedT]]:
    """Return the steps that a picture takes alone, colour and geometry; the last three make those of its truth's kind.

    Colour comes first: the fill is then the mean colour itself, and no part of what colours are measured on.
    """
    steps: list[Vary[PicturedT]] = []
    fill = Fill.of(contract)
    if settings.color:
        steps.append(ColorShift(settings.color, fill.color if contract.resize == "letterbox" else None))
    if settings.hflip:
        steps.append(flip(settings.hflip, ACROSS))
    if settings.vflip:
        steps.append(flip(settings.vflip, DOWN))
    strengths = [getattr(settings, name) or 0.0 for name in WARPS]
    if settings.warp and any(strengths):
        steps.append(warp(Warp(settings.warp, fill, *strengths)))
    scale = settings.zoom_out or 1.0, settings.zoom_in or 1.0
    if scale != (1.0, 1.0):
        steps.append(zoom(scale))
    return steps


def spoiling(
    settings: AugmentConfig, contract: Contract, cutout: Callable[[float], Vary[PicturedT]]
) -> list[Vary[PicturedT]]:
    """Return the steps that spoil a picture, as it happens to one: the lens, the sensor, the encoder.

    What is cut out stays flat, and `cutout` makes the step for its truth's kind.
    """
    steps: list[Vary[PicturedT]] = []
    if settings.blur:
        steps.append(Blur(settings.blur))
    if settings.noise:
        steps.append(Noise(settings.noise))
    if settings.jpeg:
        steps.append(Jpeg(settings.jpeg, contract.color_order))
    if settings.cutout:
        steps.append(cutout(settings.cutout))
    return steps
