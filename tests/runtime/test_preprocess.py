from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.contract import Contract, Label, Resize
from edgeseg_runtime.errors import FrameError
from edgeseg_runtime.preprocess import Image, Mask, content_size, to_frame_mask, to_input, to_input_mask

CONTRACT = Contract(labels=(Label("a", (1, 1, 1)), Label("b", (2, 2, 2))), height=24, width=32)
LETTERBOX = replace(CONTRACT, resize="letterbox")

sides = st.integers(1, 40)
policies = st.sampled_from(["stretch", "letterbox"])


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def labels(height: int, width: int, seed: int = 0) -> Mask:
    return np.random.default_rng(seed).integers(0, 2, (height, width), np.uint8)


def contract_of(height: int, width: int, resize: Resize) -> Contract:
    return replace(CONTRACT, height=height, width=width, resize=resize)


@pytest.mark.parametrize(
    ("frame", "content"),
    [
        ((48, 64), (24, 32)),  # same shape, half the size: no padding
        ((48, 48), (24, 24)),  # height is what limits: padding on the right
        ((20, 64), (10, 32)),  # width is what limits: padding below
        ((12, 8), (24, 16)),  # enlarged by two
        ((1, 1), (24, 24)),
        ((1, 1000), (1, 32)),  # a line would round to nothing
        ((1000, 1), (24, 1)),
    ],
)
def test_letterbox_content_by_hand(frame: tuple[int, int], content: tuple[int, int]) -> None:
    assert content_size(*frame, LETTERBOX) == content
    assert content_size(*frame, CONTRACT) == (24, 32)


@given(sides, sides, sides, sides)
def test_letterbox_keeps_the_shape_and_fills_one_side(height: int, width: int, rows: int, columns: int) -> None:
    contract = contract_of(rows, columns, "letterbox")
    high, wide = content_size(height, width, contract)
    assert 1 <= high <= rows and 1 <= wide <= columns
    assert high == rows or wide == columns
    scale = min(rows / height, columns / width)
    assert abs(high - height * scale) <= 0.5 or high == 1
    assert abs(wide - width * scale) <= 0.5 or wide == 1


def test_letterbox_pads_right_and_below_with_the_mean_colour() -> None:
    contract = replace(LETTERBOX, mean=(0.2, 0.4, 1.0))
    tall = to_input(np.zeros((48, 48, 3), np.uint8), contract)
    assert (tall[:, :24] == 0).all()
    assert (tall[:, 24:] == (51, 102, 255)).all()
    flat = to_input(np.zeros((10, 32, 3), np.uint8), contract)
    assert (flat[:10] == 0).all()
    assert (flat[10:] == (51, 102, 255)).all()


def test_the_mean_colour_is_in_the_models_order_whatever_that_is() -> None:
    # mean belongs to the model's channels, so swapping the frame's must not swap the padding
    for order in ("rgb", "bgr"):
        contract = replace(LETTERBOX, color_order=order, mean=(0.2, 0.4, 1.0))
        assert tuple(to_input(noise(48, 48), contract)[0, -1]) == (51, 102, 255)


def test_rgb_models_get_red_first_and_bgr_models_get_the_frame_as_it_is() -> None:
    frame = noise(24, 32)
    np.testing.assert_array_equal(to_input(frame, CONTRACT), frame[..., ::-1])
    np.testing.assert_array_equal(to_input(frame, replace(CONTRACT, color_order="bgr")), frame)


def test_a_frame_that_fits_is_not_copied() -> None:
    frame = noise(24, 32)
    assert np.shares_memory(to_input(frame, replace(CONTRACT, color_order="bgr")), frame)


@pytest.mark.parametrize("size", [(48, 64), (17, 23), (24, 64), (100, 31), (5, 5)])
def test_bilinear_resize_is_the_half_pixel_one_that_pytorch_has(size: tuple[int, int]) -> None:
    frame = noise(*size)
    planes = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1)[None].double()
    wanted = F.interpolate(planes, CONTRACT.size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    # OpenCV rounds its weights to 1/2048 for bytes
    assert np.abs(to_input(frame, CONTRACT).astype(float) - wanted).max() <= 1


def test_area_resize_is_the_mean_of_the_block() -> None:
    frame = noise(96, 128)
    wanted = frame.reshape(24, 4, 32, 4, 3).mean(axis=(1, 3))[..., ::-1]
    assert np.abs(to_input(frame, replace(CONTRACT, interpolation="area")) - wanted).max() <= 0.51


def test_nearest_resize_takes_the_pixel_under_the_centre() -> None:
    frame = noise(40, 50)
    rows = ((np.arange(24) + 0.5) * 40 / 24).astype(int)
    columns = ((np.arange(32) + 0.5) * 50 / 32).astype(int)
    wanted = frame[rows][:, columns][..., ::-1]
    np.testing.assert_array_equal(to_input(frame, replace(CONTRACT, interpolation="nearest")), wanted)


@pytest.mark.parametrize(
    "view",
    [
        lambda frame: frame[:, ::-1],
        lambda frame: frame[::-1],
        lambda frame: frame[..., ::-1],
        lambda frame: frame[::2, ::3],
        lambda frame: frame.transpose(1, 0, 2),
        np.asfortranarray,
    ],
    ids=["mirrored", "upside down", "channels reversed", "thinned out", "transposed", "column order"],
)
@pytest.mark.parametrize("size", [(24, 32), (50, 70)])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_gaps_and_strides_change_nothing(view: Any, size: tuple[int, int], order: Any) -> None:
    contract = replace(CONTRACT, color_order=order)
    frame = view(noise(*size))
    got = to_input(frame, contract)
    np.testing.assert_array_equal(got, to_input(np.ascontiguousarray(frame), contract))
    assert got.flags.c_contiguous


@pytest.mark.parametrize("contract", [CONTRACT, LETTERBOX], ids=["stretch", "letterbox"])
def test_the_frame_is_never_written_to(contract: Contract) -> None:
    frame = noise(30, 30)
    frame.flags.writeable = False
    before = frame.copy()
    to_input(frame, contract)
    np.testing.assert_array_equal(frame, before)


@given(sides, sides, policies)
def test_any_frame_gives_the_models_size(height: int, width: int, resize: Resize) -> None:
    contract = replace(CONTRACT, resize=resize)
    image = to_input(noise(height, width), contract)
    assert image.shape == (24, 32, 3) and image.dtype == np.uint8
    assert to_frame_mask(labels(24, 32), contract, height, width).shape == (height, width)
    assert to_input_mask(labels(height, width), contract).shape == (24, 32)


@given(sides, sides, st.integers(0, 40), st.integers(0, 40), policies)
def test_a_mask_enlarged_and_brought_back_is_the_same(
    height: int, width: int, more_rows: int, more_columns: int, resize: Resize
) -> None:
    contract = contract_of(height + more_rows, width + more_columns, resize)
    mask = labels(height, width)
    np.testing.assert_array_equal(to_frame_mask(to_input_mask(mask, contract), contract, height, width), mask)


def test_a_mask_of_the_models_size_passes_unchanged() -> None:
    mask = labels(24, 32)
    for contract in (CONTRACT, LETTERBOX):
        np.testing.assert_array_equal(to_input_mask(mask, contract), mask)
        np.testing.assert_array_equal(to_frame_mask(mask, contract, 24, 32), mask)


def test_padding_of_a_truth_mask_is_ignored() -> None:
    padded = to_input_mask(np.zeros((48, 48), np.uint8), LETTERBOX)
    assert (padded[:, :24] == 0).all() and (padded[:, 24:] == 255).all()


def test_what_the_model_says_about_padding_never_reaches_the_frame() -> None:
    mask = np.zeros((24, 32), np.uint8)
    mask[:, 24:] = 1
    assert (to_frame_mask(mask, LETTERBOX, 48, 48) == 0).all()


def test_truth_and_picture_stay_on_each_other() -> None:
    # a white square on black: at the model's size the mask covers just what is bright in the picture
    frame, mask = np.zeros((96, 160, 3), np.uint8), np.zeros((96, 160), np.uint8)
    frame[30:60, 40:100], mask[30:60, 40:100] = 255, 1
    for contract in (CONTRACT, LETTERBOX):
        small = to_input_mask(mask, contract)
        bright = to_input(frame, replace(contract, interpolation="area", mean=(0.0, 0.0, 0.0)))[..., 0] > 127
        np.testing.assert_array_equal(small == 1, bright)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((4, 4), np.uint8), "uint8 4×4"),
        (np.zeros((4, 4, 4), np.uint8), "4×4×4"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((0, 4, 3), np.uint8), "0×4×3"),
        (np.zeros((1, 4, 4, 3), np.uint8), "1×4×4×3"),
        (np.uint8(3), "uint8"),
        (None, "NoneType"),
        ([[[0, 0, 0]]], "list"),
    ],
)
def test_what_is_no_frame_is_refused(frame: Any, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        to_input(frame, CONTRACT)
