from __future__ import annotations

from typing import Any

import numpy as np
import torch

from edgeseg.data.augmentation.color import ColorShift
from edgeseg.data.augmentation.pair import Pair, seeded


def test_the_colour_shift_is_brightness_times_contrast_times_saturation() -> None:
    image = np.random.default_rng(0).integers(60, 190, (8, 9, 3)).astype(np.uint8)
    mask = np.zeros((8, 9), np.uint8)
    generator = seeded(4)
    brightness, contrast, saturation = (1 + 0.3 * (2 * torch.rand(3, generator=generator) - 1)).tolist()
    warmth = 0.2 * 0.3 * float(2 * torch.rand(1, generator=generator) - 1)
    shifted = ColorShift(0.3)(Pair(image, mask, 1), seeded(4))
    # One step after the other, in float64, as the textbook has it.
    pixels = image.astype(np.float64)
    gray = pixels.mean(2, keepdims=True)
    pixels = gray + saturation * (pixels - gray)
    pixels = pixels * [1 + warmth, 1.0, 1 - warmth]
    mean = image.mean()
    pixels = brightness * (mean + contrast * (pixels - mean))
    assert np.abs(shifted.image - np.clip(pixels, 0, 255)).max() <= 0.75  # OpenCV rounds in fixed point
    assert shifted.mask is mask
    assert shifted.wanted == 1


def test_no_strength_is_no_change(smooth: Any) -> None:
    pair = Pair(smooth, smooth[..., 0])
    assert np.array_equal(ColorShift(0.0)(pair, seeded(0)).image, smooth)


def test_the_strongest_shift_stays_a_picture(smooth: Any) -> None:
    for seed in range(50):
        image = ColorShift(1.0)(Pair(smooth, smooth[..., 0]), seeded(seed)).image
        assert image.dtype == np.uint8
        assert image.shape == smooth.shape
