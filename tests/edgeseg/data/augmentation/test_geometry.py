from __future__ import annotations

from collections import Counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from edgeseg.data.augmentation.geometry import ACROSS, DOWN, Flip, Warp, affine, tilt, warp
from edgeseg.data.augmentation.pair import Fill, Pair, seeded

FILL = Fill((51, 102, 153), 255)
SIZE = (72, 96)


def planes(image: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


@pytest.mark.parametrize(("axis", "reference"), [(ACROSS, F.horizontal_flip), (DOWN, F.vertical_flip)])
def test_a_flip_is_torchvisions(axis: int, reference: Any, encoded: Any, smooth: Any) -> None:
    pair = Pair(smooth, encoded(0).mask, wanted=1)
    flipped = Flip(1.0, axis)(pair, seeded(0))
    assert np.array_equal(flipped.image, reference(planes(smooth)).permute(1, 2, 0))
    assert np.array_equal(flipped.mask, reference(torch.from_numpy(pair.mask)))
    assert flipped.wanted == 1
    assert Flip(0.0, axis)(pair, seeded(0)) is pair


def test_a_share_of_the_pictures_is_flipped(encoded: Any) -> None:
    pair, flip = encoded(0), Flip(0.3)
    seen = Counter(flip(pair, seeded(seed)) is not pair for seed in range(1000))
    assert 250 < seen[True] < 350  # three standard deviations are 43


@pytest.mark.parametrize("shear", [(0.0, 0.0), (12.0, 0.0), (0.0, -9.0), (7.0, 5.0)])
@pytest.mark.parametrize("angle", [0.0, 8.0, -33.0, 90.0])
def test_an_affine_way_is_torchvisions(
    angle: float, shear: tuple[float, float], smooth: npt.NDArray[np.uint8], encoded: Any
) -> None:
    pair = Pair(smooth, encoded(1).mask)
    out = warp(pair, affine(SIZE, angle, shear, (5, -3)), FILL)
    # torchvision names shears by the direction in which the axes lean, so theirs has the other sign
    arguments: dict[str, Any] = {
        "angle": angle,
        "translate": [5, -3],
        "scale": 1.0,
        "shear": [-shear[0], -shear[1]],
    }
    image = F.affine(planes(smooth), **arguments, interpolation=InterpolationMode.BILINEAR, fill=[51.0, 102.0, 153.0])
    mask = F.affine(torch.from_numpy(pair.mask)[None], **arguments, fill=[255.0])[0].numpy()
    assert np.mean(out.mask != mask) < 0.01
    inner = (
        cv2.erode((mask != 255).astype(np.uint8), np.ones((5, 5)), borderValue=0) > 0
    )  # borders are blended in other ways
    assert inner.mean() > 0.3
    difference = np.abs(out.image.astype(int) - image.permute(1, 2, 0).numpy())[inner]
    assert difference.max() <= 2
    outside = cv2.dilate((mask != 255).astype(np.uint8), np.ones((5, 5))) == 0
    assert np.array_equal(np.unique(out.image[outside], axis=0), [[51, 102, 153]][: outside.sum()])


def test_a_tilt_is_torchvisions(smooth: npt.NDArray[np.uint8], encoded: Any) -> None:
    inwards = np.array([[0.1, 0.05], [0.2, 0.0], [0.0, 0.15], [0.05, 0.1]])
    pair = Pair(smooth, encoded(2).mask)
    out = warp(pair, tilt(SIZE, inwards), FILL)
    # torchvision counts from the pixels' corners: their centres lie at a half
    start = [[0.5, 0.5], [95.5, 0.5], [95.5, 71.5], [0.5, 71.5]]
    end = [[10.1, 4.1], [95.5 - 19.2, 0.5], [95.5, 71.5 - 10.8], [5.3, 71.5 - 7.2]]
    image = F.perspective(planes(smooth), start, end, InterpolationMode.BILINEAR, fill=[51.0, 102.0, 153.0])
    mask = F.perspective(torch.from_numpy(pair.mask)[None], start, end, InterpolationMode.NEAREST, fill=[255.0])[0]
    assert np.mean(out.mask != mask.numpy()) < 0.02
    inner = cv2.erode((mask.numpy() != 255).astype(np.uint8), np.ones((5, 5)), borderValue=0) > 0
    assert np.abs(out.image.astype(int) - image.permute(1, 2, 0).numpy())[inner].max() <= 2


def test_what_is_drawn_keeps_to_its_bounds() -> None:
    """The matrix is taken apart again: over many draws angle, shift and shear fill their ranges and no more."""
    turn, move = Warp(1.0, FILL, rotate=10.0), Warp(1.0, FILL, translate=0.25)
    angles, shifts = [], []
    for seed in range(300):
        matrix = turn.draw(SIZE, seeded(seed))
        angles.append(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
        shifts.append(move.draw(SIZE, seeded(seed))[:2, 2] / (96, 72))
    assert -10 <= min(angles) < -9 < 9 < max(angles) <= 10
    low, high = np.min(shifts, axis=0), np.max(shifts, axis=0)
    assert np.all((low >= -0.25) & (low < -0.22) & (high <= 0.25) & (high > 0.22))
    leaning = [Warp(1.0, FILL, shear=20.0).draw(SIZE, seeded(seed)) for seed in range(300)]
    across = np.degrees(np.arctan([matrix[0, 1] for matrix in leaning]))
    assert -20 <= across.min() < -18 < 18 < across.max() <= 20


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10**6))
def test_tilted_corners_stay_in_the_picture_and_move_no_further_than_said(seed: int) -> None:
    matrix = Warp(1.0, FILL, perspective=0.2).draw(SIZE, seeded(seed))
    for x, y in ((0, 0), (95, 0), (95, 71), (0, 71)):
        moved = matrix @ (x, y, 1)
        right, down = abs(moved[0] / moved[2] - x), abs(moved[1] / moved[2] - y)
        assert right <= 0.2 * 96 + 1e-3
        assert down <= 0.2 * 72 + 1e-3


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_the_mask_goes_where_the_picture_goes(seed: int, encoded: Any) -> None:
    pair = encoded(seed % 50)
    out = Warp(1.0, FILL, rotate=180, shear=15, translate=0.2, perspective=0.3)(pair, seeded(seed))
    assert out.image.shape == (72, 96, 3)
    assert out.image.dtype == out.mask.dtype == np.uint8
    assert set(np.unique(out.mask)) <= {0, 1, 255}
    reach = np.ones((7, 7), np.uint8)
    flat = np.zeros((72, 96), bool)  # not at the border, beyond which an edge may lie
    flat[3:-3, 3:-3] = (cv2.dilate(out.mask, reach) == cv2.erode(out.mask, reach))[3:-3, 3:-3]
    for label, gray in ((0, 60), (1, 180)):
        assert np.all(out.image[flat & (out.mask == label)] == gray)
    assert np.all(out.image[flat & (out.mask == 255)] == FILL.color)


def test_a_warp_that_nothing_happens_to_is_the_picture_itself(encoded: Any) -> None:
    pair = encoded(0)
    assert Warp(0.0, FILL, rotate=30)(pair, seeded(0)) is pair
    still = Warp(1.0, FILL)(pair, seeded(0))
    assert np.array_equal(still.image, pair.image)
    assert np.array_equal(still.mask, pair.mask)
