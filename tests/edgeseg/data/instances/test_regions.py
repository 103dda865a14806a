from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeseg.data.instances.regions import cut, mirrored, moved, nearest, numbered, resized, tight, warped, without
from edgeseg_runtime.instances.region import EMPTY, Region
from tests.edgeseg.data.instances.objects import Bits, full, whole

masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@given(masks, st.integers(-2, 6), st.integers(-2, 6))
def test_tight_keeps_the_pixels_and_no_empty_rim(mask: Bits, top: int, left: int) -> None:
    found = tight(Region(top, left, mask))
    if not mask.any():
        assert found is EMPTY
        return
    assert found.inside[0].any() and found.inside[-1].any() and found.inside[:, 0].any() and found.inside[:, -1].any()
    there = {(top + y, left + x) for y, x in np.argwhere(mask)}
    assert {(found.top + y, found.left + x) for y, x in np.argwhere(found.inside)} == there
    assert found.inside.base is None  # the large mask can go


@given(
    arrays.arrays(np.uint16, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.sampled_from([0, 1, 7, 999]))
)
def test_numbers_become_regions(numbers: np.ndarray[tuple[int, int], np.dtype[np.uint16]]) -> None:
    found = dict(numbered(numbers))
    assert list(found) == [int(value) for value in np.unique(numbers) if value]
    for number, region in found.items():
        assert np.array_equal(full(region, *numbers.shape), numbers == number)
        assert tight(region).inside.shape == region.inside.shape


@given(masks, st.data())
def test_a_cut_shows_what_the_window_shows(mask: Bits, data: st.DataObject) -> None:
    height, width = mask.shape
    rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = data.draw(st.integers(0, height - rows)), data.draw(st.integers(0, width - columns))
    found = cut(tight(whole(mask)), top, left, rows, columns)
    assert np.array_equal(full(found, rows, columns), mask[top : top + rows, left : left + columns])


@given(masks, st.booleans())
def test_mirrored(mask: Bits, down: bool) -> None:
    found = mirrored(tight(whole(mask)), *mask.shape, down=down)
    if mask.any():
        assert np.array_equal(full(found, *mask.shape), mask[::-1] if down else mask[:, ::-1])


@given(masks, masks)
def test_without(mask: Bits, cover: Bits) -> None:
    rows, columns = (min(a, b) for a, b in zip(mask.shape, cover.shape, strict=True))
    mask, cover = mask[:rows, :columns], cover[:rows, :columns]
    assert np.array_equal(full(without(tight(whole(mask)), cover), rows, columns), mask & ~cover)


def test_moved() -> None:
    mask = np.ones((2, 3), np.bool_)
    assert np.array_equal(full(moved(Region(1, 1, mask), 2, -1), 6, 6), full(Region(3, 0, mask), 6, 6))


@pytest.mark.parametrize("size", [(40, 60), (97, 31), (13, 17), (5, 5), (200, 301)])
def test_resized_is_what_opencv_makes_of_the_whole_mask(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    mask = cv2.blur(rng.random((97, 113)).astype(np.float32), (9, 9)) > 0.5
    mask[:, :8] = mask[90:] = False
    found = resized(tight(whole(mask)), nearest(97, size[0]), nearest(113, size[1]))
    theirs = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    assert np.array_equal(full(found, *size), theirs)


def test_what_is_too_small_vanishes() -> None:
    assert resized(Region(3, 3, np.ones((1, 1), np.bool_)), nearest(100, 4), nearest(100, 4)) is EMPTY


@pytest.mark.parametrize("tilt", [0.0, 0.0005])
def test_warped_is_what_opencv_makes_of_the_whole_mask(tilt: float) -> None:
    mask = np.zeros((80, 100), np.uint8)
    cv2.ellipse(mask, (60, 30), (30, 14), 20, 0, 360, (1,), -1)
    matrix = np.array([[0.9, -0.3, 12.0], [0.25, 1.1, -9.0], [tilt, -tilt / 2, 1.0]])
    found = full(warped(tight(whole(mask)), matrix, 80, 100), 80, 100)
    theirs = cv2.warpPerspective(mask, matrix, (100, 80), flags=cv2.INTER_NEAREST) != 0
    assert theirs.sum() > 800
    differ = found != theirs  # where rounding decides between two pixels
    assert differ.sum() <= 3
    assert warped(tight(whole(mask)), np.array([[1, 0, 500.0], [0, 1, 0], [0, 0, 1]]), 80, 100) is EMPTY
