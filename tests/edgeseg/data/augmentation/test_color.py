from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch

from edgeseg.data.augment_config import AugmentConfig
from edgeseg.data.augmentation.color import ColorShift, unpadded_size
from edgeseg.data.augmentation.pair import Pair, seeded
from edgeseg.data.augmentation.pipeline import augmentation
from edgeseg_runtime.contract import Contract, Label


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


@pytest.mark.parametrize(("rows", "columns"), [(12, 16), (9, 16), (12, 11)])
def test_padding_keeps_its_colour_and_changes_nothing_of_the_rest(rows: int, columns: int) -> None:
    content = np.random.default_rng(1).integers(0, 256, (rows, columns, 3)).astype(np.uint8)
    padded = np.full((12, 16, 3), (128, 127, 126), np.uint8)
    padded[:rows, :columns] = content
    before = padded.copy()
    shifted = ColorShift(0.5, (128, 127, 126))(Pair(padded, padded[..., 0]), seeded(2)).image
    alone = ColorShift(0.5)(Pair(content, content[..., 0]), seeded(2)).image
    assert np.array_equal(shifted[:rows, :columns], alone)
    assert (shifted[rows:] == (128, 127, 126)).all() and (shifted[:, columns:] == (128, 127, 126)).all()
    assert np.array_equal(padded, before)


def test_a_picture_of_nothing_but_the_padding_colour_is_one() -> None:
    gray = np.full((4, 5, 3), 128, np.uint8)
    assert unpadded_size(gray, (128, 128, 128)) == (4, 5)


@pytest.mark.parametrize(("resize", "kept"), [("letterbox", True), ("stretch", False)])
def test_only_letterboxed_pictures_have_padding(resize: Any, kept: bool) -> None:
    contract = Contract((Label("a", (0, 0, 0)), Label("b", (1, 1, 1))), 16, 16, resize=resize)
    image = np.full((16, 16, 3), 128, np.uint8)
    image[:8] = np.random.default_rng(0).integers(0, 256, (8, 16, 3))
    vary = augmentation("none", contract, AugmentConfig(color=0.8))
    varied = vary(Pair(image, np.zeros((16, 16), np.uint8)), seeded(1), 0, cast(Any, None)).image
    assert (varied[8:] == 128).all() == kept
