"""Augmentation: a picture and its mask are varied together, at the contract's size and in its colour order."""

from edgeseg.data.augmentation.pair import Album, Pair
from edgeseg.data.augmentation.pipeline import MaskAugmentation, augmentation

__all__ = ["Album", "MaskAugmentation", "Pair", "augmentation"]
