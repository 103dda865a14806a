from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeseg_runtime.instances.region import EMPTY, Region, ShapeError
from edgeseg_runtime.instances.rle import decode, encode, squeeze, to_coco, unsqueeze

small_masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


def run_lengths(values: npt.NDArray[np.bool_]) -> list[int]:
    """Encode a flat mask the plain way: one run after another, the first of 0."""
    counts, current = [0], False
    for value in values.tolist():
        if value != current:
            counts.append(0)
            current = value
        counts[-1] += 1
    return counts


def squeezed(counts: list[int]) -> str:
    """Write COCO's string as its documentation tells: 5 bits a character, differences from the last but one."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            bits, value = value & 31, value >> 5
            done = value == (-1 if bits & 16 else 0)
            text += chr(48 + (bits if done else bits | 32))
            if done:
                break
    return text


def test_by_hand() -> None:
    # 2 rows, 3 columns, down the columns: 0 1 | 1 1 | 0 0
    assert decode([1, 3, 2], 2, 3, columns=True).tolist() == [[False, True, False], [True, True, False]]
    # along the rows: 0 1 1 | 1 0 0
    assert decode([1, 3, 2], 2, 3, columns=False).tolist() == [[False, True, True], [True, False, False]]
    assert decode([0, 6], 2, 3, columns=True).all()
    assert unsqueeze("0").tolist() == [0]
    assert unsqueeze("61X13mN000`0").tolist() == [6, 1, 40, 4, 5, 4, 5, 4, 21]  # of the documentation of COCO's tool


@settings(max_examples=60, deadline=None)
@given(small_masks)
def test_round_trip(mask: npt.NDArray[np.bool_]) -> None:
    height, width = mask.shape
    down, along = run_lengths(mask.T.ravel()), run_lengths(mask.ravel())
    assert np.array_equal(decode(down, height, width, columns=True), mask)
    assert np.array_equal(decode(along, height, width, columns=False), mask)
    assert unsqueeze(squeezed(down)).tolist() == down


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=30))
def test_any_lengths_survive_the_string(counts: list[int]) -> None:
    assert squeeze(counts) == squeezed(counts)
    assert unsqueeze(squeeze(counts)).tolist() == counts


def test_the_string_is_that_of_cocos_own_tool() -> None:
    tool = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(100):
        height, width = rng.integers(1, 60, 2)
        mask = rng.random((height, width)) < rng.random()
        text = tool.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        assert np.array_equal(decode(unsqueeze(text), height, width, columns=True), mask)


@settings(max_examples=100, deadline=None)
@given(small_masks, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_a_region_is_its_pixels_in_the_picture(
    inside: npt.NDArray[np.bool_], above: int, below: int, before: int, behind: int
) -> None:
    mask = np.pad(inside, ((above, below), (before, behind)))
    assert encode(Region(above, before, inside), *mask.shape).tolist() == run_lengths(mask.T.ravel())


def test_nothing_and_everything() -> None:
    assert encode(EMPTY, 4, 5).tolist() == [20]
    assert encode(Region(1, 1, np.zeros((2, 2), np.bool_)), 4, 5).tolist() == [20]
    assert encode(Region(0, 0, np.ones((4, 5), np.bool_)), 4, 5).tolist() == [0, 20]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of COCO's tool, under NumPy 2
def test_what_is_written_cocos_own_tool_reads_and_would_have_written() -> None:
    tool = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(1)
    for _ in range(100):
        height, width = rng.integers(1, 80, 2)
        top, left = rng.integers(0, height), rng.integers(0, width)
        inside = rng.random((rng.integers(0, height - top) + 1, rng.integers(0, width - left) + 1)) < rng.random()
        mask = np.zeros((height, width), np.uint8, order="F")
        mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        rle = to_coco(Region(int(top), int(left), inside), int(height), int(width))
        assert rle == {"size": [height, width], "counts": tool.encode(mask)["counts"].decode()}
        assert np.array_equal(tool.decode(rle), mask)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ([5], r"covers 5 px, its size is 3×2 = 6 px"),
        ([1, 2, 4], r"lengths from 0 to its size|covers 7 px"),
        ([8, -2], "lengths from 0"),
        (["a", 6], "whole numbers"),
        ([[6]], "list of lengths"),
        ([1 << 80], "whole numbers"),
        ([], "covers 0 px"),
    ],
)
def test_lengths_that_do_not_fit(counts: list[int], reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        decode(counts, 2, 3, columns=True)


@pytest.mark.parametrize("text", ["", "abc{{", "ü", "61P", "0" + "o" * 40 + "0"])
def test_strings_that_are_none(text: str) -> None:
    with pytest.raises(ShapeError, match="RLE"):
        decode(unsqueeze(text), 2, 3, columns=True)
