from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision import tv_tensors

from edgeseg.data.augment import PRESETS, ColorShift, Preset, ScaleCrop, augmentation
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import ConfigError

LABELS = (Label("dark", (0, 0, 0)), Label("bright", (255, 255, 255)))
CONTRACT = Contract(LABELS, 72, 96)
MOVING: tuple[Preset, ...] = ("light", "standard", "strong")
BLURRED: dict[Preset, int] = {"light": 0, "standard": 2, "strong": 5}
"""Pixels on both sides of an edge that an enlarged (and, if strong, blurred) picture mixes."""


def encoded(seed: int) -> tuple[Tensor, Tensor]:
    """A mask of large blobs and a picture that shows it: 60 where it is 0, 180 where it is 1."""
    noise = np.random.default_rng(seed).standard_normal(CONTRACT.size)
    mask = (cv2.GaussianBlur(noise, (0, 0), 8) > 0).astype(np.uint8)
    image = np.repeat((60 + 120 * mask)[..., None], 3, 2).astype(np.uint8)
    return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(mask)


def edges(
    mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], reach: int = 1
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.asarray(cv2.dilate(mask, kernel) != cv2.erode(mask, kernel))


@pytest.mark.parametrize("preset", MOVING)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_the_mask_goes_where_the_picture_goes(preset: Preset, seed: int) -> None:
    image, mask = encoded(seed % 50)
    torch.manual_seed(seed)
    picture, truth = augmentation(preset, CONTRACT)(image, mask)
    assert picture.shape == (3, 72, 96)
    assert truth.shape == (72, 96)
    assert picture.dtype == truth.dtype == torch.uint8
    assert type(picture) is type(truth) is Tensor
    labels = truth.numpy()
    assert set(np.unique(labels)) <= {0, 1, CONTRACT.ignore_index}
    inside = ~edges(labels, BLURRED[preset]) & (labels != CONTRACT.ignore_index)
    green = picture[1].numpy()
    dark, bright = (green[inside & (labels == value)] for value in (0, 1))
    # Colours were shifted, but bright stays brighter than dark everywhere off the edges.
    if dark.size and bright.size:
        assert dark.max() < bright.min()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_zooming_is_true_to_half_a_pixel(seed: int) -> None:
    image, mask = encoded(seed % 50)
    torch.manual_seed(seed)
    picture, truth = ScaleCrop((0.5, 2.0), CONTRACT)(tv_tensors.Image(image), tv_tensors.Mask(mask))
    seen, labels = np.asarray(picture[0]) > 120, np.asarray(truth)
    valid = labels != CONTRACT.ignore_index
    border = edges(labels) & valid
    # Mask and picture disagree on both sides of an edge or on neither: a shift would favour one.
    assert np.mean(seen[valid] == labels[valid]) > 0.97
    if border.sum() > 100:
        assert np.mean(seen[border] == labels[border]) > 0.75


def test_zooming_by_one_changes_nothing() -> None:
    image, mask = encoded(0)
    picture, truth = ScaleCrop((1.0, 1.0), CONTRACT)(tv_tensors.Image(image), tv_tensors.Mask(mask))
    assert torch.equal(picture, image)
    assert torch.equal(truth, mask)


def test_the_place_of_a_zoom_is_drawn_too() -> None:
    """A ramp tells where a crop was taken from: over many draws, from end to end, down and across."""
    rows, columns = np.indices(CONTRACT.size)
    ramps = np.stack([rows * 3, columns * 2, rows * 0]).astype(np.uint8)
    corners = []
    for seed in range(60):
        torch.manual_seed(seed)
        zoomed, _ = ScaleCrop((2.0, 2.0), CONTRACT)(tv_tensors.Image(ramps), tv_tensors.Mask(rows.astype(np.uint8)))
        corners.append((int(zoomed[0, 0, 0]) / 3, int(zoomed[1, 0, 0]) / 2))
    top, left = np.array(corners).T
    assert top.min() < 6 < 30 < top.max() <= 36
    assert left.min() < 8 < 40 < left.max() <= 48
    assert abs(np.corrcoef(top, left)[0, 1]) < 0.5  # neither follows from the other


def test_what_lies_outside_is_the_mean_colour_and_is_ignored() -> None:
    contract = Contract(LABELS, 72, 96, mean=(0.2, 0.4, 0.6), ignore_index=200)
    image, mask = encoded(0)
    torch.manual_seed(0)
    picture, truth = ScaleCrop((0.5, 0.5), contract)(tv_tensors.Image(image), tv_tensors.Mask(mask))
    outside = truth == 200
    assert outside.float().mean() == pytest.approx(0.75)
    assert [picture[channel][outside].unique().tolist() for channel in range(3)] == [[51], [102], [153]]


def test_strong_augmentation_fills_the_corners_of_a_turned_picture_with_ignore() -> None:
    image, mask = encoded(0)
    augment = augmentation("strong", CONTRACT)
    ignored = []
    for seed in range(40):
        torch.manual_seed(seed)
        ignored.append(bool((augment(image, mask)[1] == 255).any()))
    assert any(ignored)
    assert not all(ignored)


def test_light_is_a_flip_or_none_and_keeps_every_label() -> None:
    image, mask = encoded(3)
    augment = augmentation("light", CONTRACT)
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        truth = augment(image, mask)[1]
        flipped = torch.equal(truth, mask.flip(1))
        assert flipped or torch.equal(truth, mask)
        seen.add(flipped)
    assert seen == {True, False}


def test_none_changes_nothing() -> None:
    image, mask = encoded(0)
    picture, truth = augmentation("none", CONTRACT)(image, mask)
    assert picture is image
    assert truth is mask


def test_the_colour_shift_is_brightness_times_contrast_times_saturation() -> None:
    image = torch.randint(60, 190, (3, 8, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shift = ColorShift(0.3)
    torch.manual_seed(4)
    brightness, contrast, saturation = (1 + 0.3 * (2 * torch.rand(3) - 1)).tolist()
    warmth = 0.2 * 0.3 * float(2 * torch.rand(1) - 1)
    torch.manual_seed(4)
    result = shift(tv_tensors.Image(image)).as_subclass(Tensor)
    # One step after the other, in float64, as the textbook has it.
    pixels = image.double()
    gray = pixels.mean(0, keepdim=True)
    pixels = gray + saturation * (pixels - gray)
    pixels = pixels * torch.tensor([1 + warmth, 1.0, 1 - warmth]).double().view(3, 1, 1)
    mean = image.double().mean()
    pixels = brightness * (mean + contrast * (pixels - mean))
    assert (result.double() - pixels.clamp(0, 255)).abs().max() <= 0.75  # OpenCV rounds in fixed point


def test_augmentation_leaves_its_input_alone() -> None:
    for preset in MOVING:
        image, mask = encoded(0)
        before = image.clone(), mask.clone()
        for seed in range(5):
            torch.manual_seed(seed)
            augmentation(preset, CONTRACT)(image, mask)
        assert torch.equal(image, before[0])
        assert torch.equal(mask, before[1])


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="augmentation must be one of none, light, standard, strong, got 'wild'"):
        augmentation("wild", CONTRACT)  # type: ignore[arg-type]
    assert PRESETS == ("none", "light", "standard", "strong")
