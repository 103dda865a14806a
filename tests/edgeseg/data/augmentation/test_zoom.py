from __future__ import annotations

from collections import Counter
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.data.augmentation.pair import Fill, Pair, seeded
from edgeseg.data.augmentation.zoom import ScaleCrop, draw_class, place_on, resize_image, resize_mask

FILL = Fill((51, 102, 153), 255)


def edges(mask: Any) -> Any:
    kernel = np.ones((3, 3), np.uint8)
    return cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_zooming_is_true_to_half_a_pixel(seed: int, encoded: Any) -> None:
    pair = ScaleCrop((0.5, 2.0), FILL)(encoded(seed % 50), seeded(seed))
    seen, labels = pair.image[..., 0] > 120, pair.mask
    valid = labels != 255
    border = edges(labels) & valid
    # Mask and picture disagree on both sides of an edge or on neither: a shift would favour one.
    assert np.mean(seen[valid] == labels[valid]) > 0.97
    if border.sum() > 100:
        assert np.mean(seen[border] == labels[border]) > 0.75


def test_zooming_by_one_changes_nothing(encoded: Any) -> None:
    pair = encoded(0)
    out = ScaleCrop((1.0, 1.0), FILL)(pair, seeded(0))
    assert np.array_equal(out.image, pair.image)
    assert np.array_equal(out.mask, pair.mask)


def test_the_place_of_a_zoom_is_drawn_too() -> None:
    """A ramp tells where a crop was taken from: over many draws, from end to end, down and across."""
    rows, columns = np.indices((72, 96))
    ramps = Pair(np.stack([rows * 3, columns * 2, rows * 0], 2).astype(np.uint8), rows.astype(np.uint8))
    corners = []
    for seed in range(60):
        zoomed = ScaleCrop((2.0, 2.0), FILL)(ramps, seeded(seed)).image
        corners.append((int(zoomed[0, 0, 0]) / 3, int(zoomed[0, 0, 1]) / 2))
    top, left = np.array(corners).T
    assert top.min() < 6 < 30 < top.max() <= 36
    assert left.min() < 8 < 40 < left.max() <= 48
    assert abs(np.corrcoef(top, left)[0, 1]) < 0.5  # neither follows from the other


def test_what_lies_outside_is_the_mean_colour_and_is_ignored(encoded: Any) -> None:
    out = ScaleCrop((0.5, 0.5), Fill((51, 102, 153), 200))(encoded(0), seeded(0))
    outside = out.mask == 200
    assert outside.mean() == pytest.approx(0.75)
    assert np.unique(out.image[outside], axis=0).tolist() == [[51, 102, 153]]


def test_pictures_shrink_as_pillow_shrinks_them(smooth: Any) -> None:
    from PIL import Image

    for height, width in ((36, 48), (50, 70), (144, 150)):
        reference = Image.fromarray(smooth).resize((width, height), Image.Resampling.BILINEAR)
        assert np.abs(resize_image(smooth, height, width).astype(int) - np.asarray(reference)).max() <= 1


def test_masks_take_the_label_under_the_centre_of_each_new_pixel() -> None:
    mask = np.random.default_rng(0).integers(0, 9, (72, 96)).astype(np.uint8)
    for height, width in ((31, 41), (97, 131)):
        rows = np.floor((np.arange(height) + 0.5) * 72 / height).astype(int)
        columns = np.floor((np.arange(width) + 0.5) * 96 / width).astype(int)
        assert np.array_equal(resize_mask(mask, height, width), mask[np.ix_(rows, columns)])


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), row=st.integers(0, 71), column=st.integers(0, 95))
def test_a_crop_keeps_the_class_that_its_picture_was_chosen_for(seed: int, row: int, column: int) -> None:
    mask = np.zeros((72, 96), np.uint8)
    mask[row, column] = 1  # one pixel of all, which a crop of a quarter would mostly miss
    image = np.repeat(mask[..., None] * 200, 3, 2)
    out = ScaleCrop((2.0, 2.0), FILL)(Pair(image, mask, wanted=1), seeded(seed))
    assert (out.mask == 1).any()
    assert out.image[out.mask == 1].min() > 50


def test_a_share_of_the_crops_holds_a_class_that_was_drawn() -> None:
    mask = np.zeros((72, 96), np.uint8)
    mask[3:5, 90:92] = 1
    pair = Pair(np.zeros((72, 96, 3), np.uint8), mask)

    def held(class_crop: float, wanted: int | None = None) -> float:
        crop = ScaleCrop((4.0, 4.0), FILL, class_crop)
        pairs = (crop(Pair(pair.image, mask, wanted), seeded(seed)) for seed in range(600))
        return float(np.mean([(out.mask == 1).any() for out in pairs]))

    by_chance = held(0.0)
    assert by_chance < 0.2
    # each of the two classes is drawn for half of the crops; those drawn for the large one hold it by chance
    assert held(1.0) == pytest.approx(0.5 + 0.5 * by_chance, abs=0.07)
    assert held(0.5) == pytest.approx(0.25 + 0.75 * by_chance, abs=0.07)
    assert held(0.0, wanted=1) == 1.0


def test_a_class_that_is_not_there_leaves_the_place_to_chance(encoded: Any) -> None:
    pair = encoded(3)
    plain = ScaleCrop((2.0, 2.0), FILL)(pair, seeded(9))
    wanted = ScaleCrop((2.0, 2.0), FILL)(Pair(pair.image, pair.mask, wanted=7), seeded(9))
    assert np.array_equal(plain.image, wanted.image)
    empty = Pair(pair.image, np.full((72, 96), 255, np.uint8))
    assert (ScaleCrop((2.0, 2.0), FILL, class_crop=1.0)(empty, seeded(9)).mask == 255).all()


def test_classes_are_drawn_alike_however_large() -> None:
    mask = np.full((72, 96), 255, np.uint8)
    mask[:40], mask[50, :3], mask[60, 0] = 0, 2, 5
    seen = Counter(draw_class(mask, 255, seeded(seed)) for seed in range(900))
    assert set(seen) == {0, 2, 5}
    assert all(240 < count < 360 for count in seen.values())  # three standard deviations are 42
    assert draw_class(np.full((4, 4), 255, np.uint8), 255, seeded(0)) is None


def test_windows_on_a_class_reach_every_place_that_holds_it() -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[4, 11] = 3
    generator = torch.Generator().manual_seed(0)
    places = {place_on(mask, 3, 4, 5, generator) for _ in range(200)}
    assert places == {(top, 7) for top in (1, 2, 3, 4)}  # the right edge leaves one column
    assert place_on(mask, 3, 10, 12, generator) == (0, 0)
    assert place_on(mask, 9, 4, 5, generator) is None
