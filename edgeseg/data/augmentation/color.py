"""Colours as another camera, or another hour, would show them."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Generator

from edgeseg.data.augmentation.pair import PicturedT


class ColorShift:
    """Change brightness, contrast, saturation and colour temperature at random.

    All four are linear in the channels, so they are one 3×3 matrix and an offset, and one pass over the pixels.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(self, pair: PicturedT, generator: Generator) -> PicturedT:
        """Change the picture's colours."""
        brightness, contrast, saturation = (1 + self.strength * (2 * torch.rand(3, generator=generator) - 1)).tolist()
        warmth = 0.2 * self.strength * float(2 * torch.rand(1, generator=generator) - 1)
        matrix = np.diag([1 + warmth, 1.0, 1 - warmth]) @ (saturation * np.eye(3) + (1 - saturation) / 3)
        offset = brightness * (1 - contrast) * float(np.mean(cv2.mean(pair.image)[:3]))
        shift = np.column_stack([brightness * contrast * matrix, [offset] * 3])
        return pair.changed(cv2.transform(pair.image, shift))  # rounds and saturates
