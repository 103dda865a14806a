"""Masks as pictures."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image, Mask


def color_table(contract: Contract) -> Image:
    """Return a 256×1×3 BGR look-up table; values that are no class are black."""
    table = np.zeros((256, 1, 3), np.uint8)
    for index, label in enumerate(contract.labels):
        table[index, 0] = label.color[::-1]
    return table


def colorize(mask: Mask, table: Image) -> Image:
    """Return the mask in its classes' colours, BGR."""
    return cv2.applyColorMap(mask, table)  # type: ignore[return-value]


def overlay(frame: Image, mask: Mask, table: Image, opacity: float = 0.5) -> Image:
    """Return the frame with the coloured mask blended in; `opacity` 1 hides the frame."""
    return cv2.addWeighted(colorize(mask, table), opacity, frame, 1 - opacity, 0)  # type: ignore[return-value]
