from __future__ import annotations

import pickle
from typing import Any, get_args

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from edgeseg.data.augment_config import AugmentConfig, Preset
from edgeseg.data.augmentation import Pair, augmentation
from edgeseg.data.augmentation.pair import seeded, uniform, whole
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError

EVERYTHING = AugmentConfig(
    color=0.5,
    hflip=0.5,
    vflip=0.5,
    zoom_in=2,
    zoom_out=0.5,
    class_crop=0.5,
    warp=0.5,
    rotate=30,
    shear=10,
    translate=0.1,
    perspective=0.2,
    blur=0.5,
    noise=0.5,
    jpeg=0.5,
    cutout=0.5,
    mosaic=0.5,
    classmix=0.5,
    copy_paste=0.5,
)


def by_torchvision(preset: Preset, pair: Pair, contract: Contract, seed: int) -> tuple[Any, Any]:
    """What the presets have been from the start: the colour matrix, then torchvision's own flip, resize and pad."""
    torch.manual_seed(seed)
    strength = {"light": 0.15, "standard": 0.3}[preset]
    brightness, contrast, saturation = (1 + strength * (2 * torch.rand(3) - 1)).tolist()
    warmth = 0.2 * strength * float(2 * torch.rand(1) - 1)
    matrix = np.diag([1 + warmth, 1.0, 1 - warmth]) @ (saturation * np.eye(3) + (1 - saturation) / 3)
    offset = brightness * (1 - contrast) * float(np.mean(cv2.mean(pair.image)[:3]))
    shifted = cv2.transform(pair.image, np.column_stack([brightness * contrast * matrix, [offset] * 3]))
    image = tv_tensors.Image(torch.from_numpy(shifted).permute(2, 0, 1))
    image, mask = v2.RandomHorizontalFlip(0.5)(image, tv_tensors.Mask(torch.from_numpy(pair.mask)[None]))
    if preset == "light":
        return image.permute(1, 2, 0).numpy(), mask[0].numpy()
    low, high = torch.tensor((0.75, 2.0)).log()
    factor, down, right = torch.rand(3).tolist()
    zoom = float((low + (high - low) * factor).exp())
    rows, columns = round(72 / max(zoom, 1 / zoom)), round(96 / max(zoom, 1 / zoom))
    top, left = round(down * (72 - rows)), round(right * (96 - columns))
    bilinear, nearest = v2.InterpolationMode.BILINEAR, v2.InterpolationMode.NEAREST_EXACT
    if zoom >= 1:
        image = F.resized_crop(image, top, left, rows, columns, [72, 96], bilinear, antialias=True)
        mask = F.resized_crop(mask.as_subclass(torch.Tensor), top, left, rows, columns, [72, 96], nearest)
    else:
        border = [left, top, 96 - columns - left, 72 - rows - top]
        image = F.pad(F.resize(image, [rows, columns], bilinear, antialias=True), border, fill=[51.0, 102.0, 153.0])
        mask = F.pad(F.resize(mask.as_subclass(torch.Tensor), [rows, columns], nearest), border, fill=255.0)
    return image.permute(1, 2, 0).numpy(), mask[0].numpy()


@pytest.mark.parametrize("preset", ["light", "standard"])
def test_light_and_standard_are_to_the_bit_what_torchvision_makes(
    preset: Preset, contract: Contract, smooth: Any, encoded: Any, shelf: Any
) -> None:
    augment = augmentation(preset, contract)
    for seed in range(40):
        pair = Pair(smooth, encoded(seed).mask)
        image, mask = by_torchvision(preset, pair, contract, seed)
        out = augment(pair, torch.Generator().manual_seed(seed), 0, shelf)
        assert np.array_equal(out.image, image)
        assert np.array_equal(out.mask, mask)
    assert not shelf.asked


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_the_mask_goes_where_the_picture_goes(
    preset: Preset, seed: int, contract: Contract, encoded: Any, nobody: Any
) -> None:
    out = augmentation(preset, contract)(encoded(seed % 50), seeded(seed), 0, nobody)
    assert out.image.shape == (72, 96, 3)
    assert out.mask.shape == (72, 96)
    assert out.image.dtype == out.mask.dtype == np.uint8
    assert set(np.unique(out.mask)) <= {0, 1, 255}
    # Pixels on both sides of an edge that an enlarged (and, if strong, blurred and squeezed) picture mixes.
    reach = {"light": 0, "standard": 2, "strong": 10}[preset]
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    inside = (cv2.dilate(out.mask, kernel) == cv2.erode(out.mask, kernel)) & (out.mask != 255)
    dark, bright = (out.image[..., 1][inside & (out.mask == label)].astype(float) for label in (0, 1))
    # Colours were shifted and noise added, but bright stays brighter than dark off the edges.
    if dark.size and bright.size:
        assert np.percentile(dark, 95) < np.percentile(bright, 5)


def test_strong_turns_some_pictures_and_spoils_some(contract: Contract, encoded: Any, shelf: Any) -> None:
    augment = augmentation("strong", contract, AugmentConfig(zoom_in=1, zoom_out=1, color=0))
    outs = [augment(encoded(0), seeded(seed), 0, shelf) for seed in range(200)]
    turned = np.mean([(out.mask == 255).any() for out in outs])
    assert 0.2 < turned < 0.4
    grays = [len(np.unique(out.image[out.mask != 255])) for out in outs]
    assert 0.2 < np.mean(np.array(grays) > 2) < 0.6  # blurred, noisy or turned: .3 + .2 + .1 + .1, less what coincides


def test_light_is_a_flip_or_none_and_keeps_every_label(contract: Contract, encoded: Any, shelf: Any) -> None:
    pair = encoded(3)
    seen = set()
    for seed in range(20):
        mask = augmentation("light", contract)(pair, seeded(seed), 0, shelf).mask
        flipped = np.array_equal(mask, pair.mask[:, ::-1])
        assert flipped or np.array_equal(mask, pair.mask)
        seen.add(flipped)
    assert seen == {True, False}


@pytest.mark.parametrize(("name", "turned"), [("hflip", np.s_[:, ::-1]), ("vflip", np.s_[::-1])])
def test_flips_go_across_and_down(name: str, turned: Any, contract: Contract, encoded: Any, shelf: Any) -> None:
    pair = encoded(4)
    out = augmentation("none", contract, AugmentConfig(**{name: 1}))(pair, seeded(0), 0, shelf)
    assert np.array_equal(out.image, pair.image[turned])
    assert np.array_equal(out.mask, pair.mask[turned])


def test_none_changes_nothing(contract: Contract, encoded: Any, shelf: Any) -> None:
    pair = encoded(0)
    assert augmentation("none", contract)(pair, seeded(0), 0, shelf) is pair


@pytest.mark.parametrize(
    "name", [item for item in EVERYTHING.__dataclass_fields__ if item not in ("class_crop", "warp")]
)
def test_every_piece_does_something_alone(name: str, contract: Contract, shelf: Any) -> None:
    value = {"zoom_in": 2, "zoom_out": 0.5, "rotate": 30, "shear": 20, "translate": 0.3, "perspective": 0.3}.get(
        name, 1
    )
    augment = augmentation("none", contract, AugmentConfig(**{name: value}))
    image = np.random.default_rng(0).integers(0, 256, (72, 96, 3)).astype(np.uint8)
    out = augment(Pair(image, shelf.pairs[0].mask), seeded(1), 0, shelf)
    assert not np.array_equal(out.image, image)


def test_all_pieces_together_are_repeatable_and_leave_their_input_alone(contract: Contract, shelf: Any) -> None:
    augment = augmentation("strong", contract, EVERYTHING)
    before = [(pair.image.copy(), pair.mask.copy()) for pair in shelf.pairs]
    for seed in range(40):
        one, two = (augment(shelf.pairs[seed % 6], seeded(seed), seed % 6, shelf) for _ in range(2))
        assert np.array_equal(one.image, two.image)
        assert np.array_equal(one.mask, two.mask)
        assert one.image.shape == (72, 96, 3)
        assert one.image.dtype == one.mask.dtype == np.uint8
        assert set(np.unique(one.mask)) <= {0, 1, 2, 3, 255}
    for pair, (image, mask) in zip(shelf.pairs, before, strict=True):
        assert np.array_equal(pair.image, image)
        assert np.array_equal(pair.mask, mask)


def test_the_callers_random_numbers_are_left_alone(contract: Contract, shelf: Any) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    cv2.setRNGSeed(0)
    augmentation("strong", contract, EVERYTHING)(shelf.pairs[0], seeded(0), 0, shelf)
    assert torch.equal(torch.rand(3), expected)


def test_only_copy_paste_needs_counted_classes(contract: Contract) -> None:
    assert augmentation("none", contract, AugmentConfig(copy_paste=0.1)).counts_classes
    assert not augmentation("strong", contract, AugmentConfig(mosaic=0.1, classmix=0.1)).counts_classes


def test_an_augmentation_can_be_sent_to_another_process(contract: Contract, shelf: Any) -> None:
    augment = augmentation("strong", contract, EVERYTHING)
    copy = pickle.loads(pickle.dumps(augment))
    for seed in range(5):
        one, two = (each(shelf.pairs[0], seeded(seed), 0, shelf) for each in (augment, copy))
        assert np.array_equal(one.image, two.image)


def test_an_unknown_preset_names_the_known_ones(contract: Contract) -> None:
    with pytest.raises(ConfigError, match="--augment must be one of none, light, standard, strong, got 'wild'"):
        augmentation("wild", contract)  # type: ignore[arg-type]
    assert get_args(Preset) == ("none", "light", "standard", "strong")


class TestGenerators:
    def test_are_functions_of_all_their_numbers(self) -> None:
        first = {seeded(*numbers).initial_seed() for numbers in ((0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 1, 2, 1))}
        assert len(first | {seeded(0, 1, 2, stream=1).initial_seed()}) == 5
        assert seeded(0, 1, 2).initial_seed() == seeded(0, 1, 2).initial_seed()

    def test_draw_within_their_bounds(self) -> None:
        generator = seeded(0)
        assert {whole(-1, 1, generator) for _ in range(100)} == {-1, 0, 1}
        drawn = [uniform(2, 3, generator) for _ in range(500)]
        assert 2 <= min(drawn) < 2.02 < 2.98 < max(drawn) < 3
