from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.instances.overlap import RegionOverlaps, Shares, box_overlap, region_overlap
from edgeseg_runtime.instances.region import EMPTY, Region

SIDE = st.integers(0, 20)


def region(top: int, left: int, rows: int, columns: int, seed: int) -> Region:
    return Region(top, left, np.random.default_rng(seed).random((rows, columns)) < 0.6)


REGIONS = st.builds(region, SIDE, SIDE, SIDE, SIDE, st.integers(0, 99))


def drawn(one: Region, shift: tuple[int, int] = (0, 0)) -> npt.NDArray[np.bool_]:
    """A picture with 40 pixels around everything."""
    picture = np.zeros((120, 120), np.bool_)
    rows, columns = one.inside.shape
    top, left = 40 + one.top + shift[0], 40 + one.left + shift[1]
    picture[top : top + rows, left : left + columns] = one.inside
    return picture


@given(REGIONS, REGIONS, st.integers(-9, 9), st.integers(-9, 9))
def test_small_regions_overlap_as_pictures_of_them_do(one: Region, other: Region, down: int, right: int) -> None:
    a, b = drawn(one, (down, right)), drawn(other)
    union = int((a | b).sum())
    expected = int((a & b).sum()) / union if union else 0.0
    assert region_overlap(one, other, (down, right)) == pytest.approx(expected)


def test_large_regions_overlap_to_a_percent_or_so() -> None:
    rows, columns = np.mgrid[:700, :500]
    disk = (rows - 350) ** 2 / 340**2 + (columns - 250) ** 2 / 240**2 < 1
    one, other = Region(10, 20, disk), Region(90, 120, disk)
    a, b = np.zeros((900, 700), bool), np.zeros((900, 700), bool)
    a[10:710, 20:520], b[90:790, 120:620] = disk, disk
    assert region_overlap(one, other) == pytest.approx((a & b).sum() / (a | b).sum(), abs=0.01)
    assert region_overlap(one, one) == pytest.approx(1, abs=0.02)


def test_boxes_overlap_by_hand() -> None:
    one = np.array([[0, 0, 4, 4], [0, 0, 2, 2]], np.float32)
    other = np.array([[2, 2, 6, 6], [4, 0, 8, 4], [0, 0, 4, 4]], np.float32)
    np.testing.assert_allclose(box_overlap(one, other), np.array([[4 / 28, 0, 1], [0, 0, 4 / 16]]))
    assert box_overlap(one, np.zeros((0, 4), np.float32)).shape == (2, 0)
    assert box_overlap(np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32)) == [[0]]


def test_masks_count_where_both_have_one_and_boxes_elsewhere() -> None:
    upper, lower = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    upper[:2], lower[2:] = True, True
    one, other = [Region(0, 0, upper), EMPTY], [Region(0, 0, lower), Region(0, 0, upper)]
    boxes = np.full((2, 2), 0.7)
    still = np.zeros((2, 2), np.intp)
    np.testing.assert_allclose(table(RegionOverlaps(one, other, still, boxes)), np.array([[0, 1], [0.7, 0.7]]))
    down = np.array([[2, 0], [0, 0]])
    np.testing.assert_allclose(table(RegionOverlaps(one, other, down, boxes)), np.array([[1, 0], [0.7, 0.7]]))
    apart = np.array([[0, 0.7], [0, 0]])
    np.testing.assert_allclose(table(RegionOverlaps(one, other, still, apart)), np.array([[0, 1], [0, 0]]))


def test_less_than_the_least_is_nothing() -> None:
    left, wide = np.zeros((4, 8), bool), np.ones((4, 8), bool)
    left[:, :2] = True
    boxes, still = np.ones((1, 1)), np.zeros((1, 2), np.intp)
    for least, expected in ((0.25, 0.25), (0.26, 0.0)):
        overlaps = RegionOverlaps([Region(0, 0, left)], [Region(0, 0, wide)], still, boxes, least)
        assert overlaps.exact(0, 0) == expected
    assert RegionOverlaps([EMPTY], [EMPTY], still, boxes * 0.2, 0.3).most.tolist() == [[0]]


def table(overlaps: RegionOverlaps) -> Shares:
    """What all pairs are that can be one."""
    rows, columns = overlaps.most.shape
    return np.array(
        [
            [overlaps.exact(row, column) if overlaps.most[row, column] else 0.0 for column in range(columns)]
            for row in range(rows)
        ]
    )


@given(st.lists(REGIONS, max_size=5), st.lists(REGIONS, max_size=5), st.integers(-9, 9), st.integers(-9, 9))
def test_no_pair_is_more_than_was_said_at_most(one: list[Region], other: list[Region], down: int, right: int) -> None:
    shifts = np.array([(down, right)] * len(one), np.intp).reshape(-1, 2)
    overlaps = RegionOverlaps(one, other, shifts, np.full((len(one), len(other)), 0.3))
    assert overlaps.most.shape == (len(one), len(other))
    for row, column in np.ndindex(*overlaps.most.shape):
        assert overlaps.exact(row, column) <= overlaps.most[row, column]


def test_no_pair_of_large_ones_is_more_than_was_said_at_most_although_not_all_pixels_are_counted() -> None:
    rng = np.random.default_rng(5)
    places, sides = rng.integers(0, 60, (5, 2)).tolist(), rng.integers(60, 160, (5, 2)).tolist()
    shares = (0.02, 0.1, 0.5, 0.9, 1.0)
    regions = [
        Region(top, left, rng.random(size) < share)
        for (top, left), size, share in zip(places, sides, shares, strict=True)
    ]
    overlaps = RegionOverlaps(regions, regions, np.zeros((5, 2), np.intp), np.ones((5, 5)))
    for row, column in np.ndindex(5, 5):
        assert overlaps.exact(row, column) <= overlaps.most[row, column]
