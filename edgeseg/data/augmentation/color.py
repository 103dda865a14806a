"""Colours as another camera, or another hour, would show them."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Generator

from edgeseg.data.augmentation.pair import PicturedT
from edgeseg_runtime.preprocess import Image


class ColorShift:
    """Change brightness, contrast, saturation and colour temperature at random.

    All four are linear in the channels, so they are one 3×3 matrix and an offset, and one pass over the pixels. Rows at
    the bottom and columns at the right that are wholly of the colour `padding` stay as they are: no camera sees them.
    """

    def __init__(self, strength: float, padding: tuple[int, int, int] | None = None) -> None:
        self.strength, self.padding = strength, padding

    def __call__(self, pair: PicturedT, generator: Generator) -> PicturedT:
        """Change the picture's colours."""
        brightness, contrast, saturation = (1 + self.strength * (2 * torch.rand(3, generator=generator) - 1)).tolist()
        warmth = 0.2 * self.strength * float(2 * torch.rand(1, generator=generator) - 1)
        matrix = np.diag([1 + warmth, 1.0, 1 - warmth]) @ (saturation * np.eye(3) + (1 - saturation) / 3)
        rows, columns = pair.image.shape[:2] if self.padding is None else unpadded_size(pair.image, self.padding)
        content = pair.image[:rows, :columns]
        offset = brightness * (1 - contrast) * float(np.mean(cv2.mean(content)[:3]))
        shift = np.column_stack([brightness * contrast * matrix, [offset] * 3])
        shifted = cv2.transform(content, shift)  # rounds and saturates
        if content.shape == pair.image.shape:
            return pair.changed(shifted)
        image = pair.image.copy()
        image[:rows, :columns] = shifted
        return pair.changed(image)


def unpadded_size(image: Image, padding: tuple[int, int, int]) -> tuple[int, int]:
    """Return the (rows, columns) before the rows and columns that have no pixel but of the colour `padding`."""
    seen = (image != np.array(padding, np.uint8)).any(axis=2)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return (int(rows[-1]) + 1, int(columns[-1]) + 1) if rows.size else image.shape[:2]
