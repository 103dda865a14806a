"""How pictures of objects are varied for training: colour, geometry, mixing, corruption, in this order."""

from __future__ import annotations

from typing import TypeAlias

from edgeseg.data.augment_config import AugmentConfig, Preset, recipe
from edgeseg.data.augmentation.pair import Fill
from edgeseg.data.augmentation.pipeline import Augmentation, Chain, spoiling, varying
from edgeseg.data.instances.geometry import Cutout, Mirror, ScaleJitter, Turn
from edgeseg.data.instances.mixing import CopyPaste, Mosaic
from edgeseg.data.instances.picture import Album, Mix, Picture
from edgeseg_runtime.contract import Contract

InstanceAugment: TypeAlias = Augmentation[Picture, Album]


def instance_augmentation(preset: Preset, contract: Contract, own: AugmentConfig | None = None) -> InstanceAugment:
    """Build a preset, changed by `own`; `none` leaves pictures as the runtime's preprocessing made them.

    `strong` has large-scale jitter and copy-paste. What lies outside the picture is filled with the contract's mean
    colour. Raises ConfigError.
    """
    settings, fill = recipe(preset, own, "instance"), Fill.of(contract)
    vary: Chain[Picture] = Chain(
        varying(settings, contract, flip=Mirror, warp=Turn, zoom=lambda scale: ScaleJitter(scale, fill.color))
    )
    mixes: list[Mix] = []
    if settings.mosaic:
        mixes.append(Mosaic(settings.mosaic, vary))
    if settings.copy_paste:
        mixes.append(CopyPaste(settings.copy_paste, vary))
    spoil: Chain[Picture] = Chain(spoiling(settings, contract, lambda share: Cutout(share, fill.color)))
    return Augmentation(vary, mixes, spoil)
