from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.data.polygons import (
    Points,
    Rule,
    box,
    ellipse,
    fill,
    fill_pixels,
    place,
    union,
)
from edgeseg_runtime.instances.region import EMPTY, Region, paint
from tests.edgeseg.data.samples import rows

SIZE = (6, 8)


def drawn(region: Region, height: int = SIZE[0], width: int = SIZE[1]) -> npt.NDArray[np.uint8]:
    return paint(np.zeros((height, width), np.uint8), [region], [1])


def ring(*corners: tuple[float, float]) -> Points:
    return np.array(corners, np.float64)


def centres_inside(rings: list[Points], height: int, width: int, rule: Rule) -> npt.NDArray[np.bool_]:
    """Count, for each pixel's centre on its own, the edges to its left: the rule as textbooks have it."""
    inside = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            crossings = winding = 0
            for corners in rings:
                for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
                    if (y0 <= y + 0.5) != (y1 <= y + 0.5):
                        # exact, from the upper end, as both neighbours of an edge see it
                        (xa, ya), (xb, yb) = ((x0, y0), (x1, y1)) if y0 < y1 else ((x1, y1), (x0, y0))
                        if xa + (y + 0.5 - ya) * ((xb - xa) / (yb - ya)) <= x + 0.5:
                            crossings += 1
                            winding += 1 if y0 < y1 else -1
            inside[y, x] = crossings % 2 == 1 if rule == "even-odd" else winding != 0
    return inside


coordinate = st.floats(-4, 16).map(lambda value: round(value * 4) / 4)  # quarters: edges through centres are frequent
rings_of_points = st.lists(
    st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=7).map(lambda found: np.array(found)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(rings_of_points, st.integers(1, 12), st.integers(1, 12), st.sampled_from(["even-odd", "nonzero"]))
def test_a_pixel_is_inside_when_its_centre_is(
    rings: list[Points], height: int, width: int, rule: Literal["even-odd", "nonzero"]
) -> None:
    expected = centres_inside(rings, height, width, rule)
    assert np.array_equal(drawn(fill(rings, height, width, rule), height, width), expected)


def test_a_box_covers_the_pixels_between_its_corners() -> None:
    mask = drawn(fill([box(2, 1, 5, 3)], *SIZE))
    assert np.array_equal(mask, rows("........", "..111...", "..111...", "........", "........", "........"))


def test_half_a_pixel_decides_by_the_centre() -> None:
    assert drawn(fill([box(2.4, 1.5, 4.6, 2.4)], *SIZE)).sum() == 3  # columns 2, 3, 4 of row 1
    assert drawn(fill([box(2.6, 1.6, 4.4, 2.4)], *SIZE)).sum() == 0  # a row's centre is not reached


@settings(max_examples=40, deadline=None)
@given(st.tuples(coordinate, coordinate), st.tuples(coordinate, coordinate))
def test_neighbours_share_no_pixel_and_leave_none(upper: tuple[float, float], lower: tuple[float, float]) -> None:
    # a picture cut in two by any line from its top to its bottom
    left = ring((-9, -9), (upper[0], -9), (lower[0], 99), (-9, 99))
    right = ring((upper[0], -9), (99, -9), (99, 99), (lower[0], 99))
    assert (drawn(fill([left], 12, 12), 12, 12) + drawn(fill([right], 12, 12), 12, 12) == 1).all()


def test_a_ring_in_a_ring_is_a_hole_by_one_rule_and_none_by_the_other() -> None:
    rings = [box(1, 1, 6, 5), box(2, 2, 4, 4)]
    hollow = rows("........", ".11111..", ".1..11..", ".1..11..", ".11111..", "........")
    assert np.array_equal(drawn(fill(rings, *SIZE)), hollow)
    assert drawn(fill(rings, *SIZE, "nonzero")).sum() == 20
    assert np.array_equal(drawn(fill([rings[0], rings[1][::-1]], *SIZE, "nonzero")), hollow)


@pytest.mark.parametrize("shape", [box(20, 20, 30, 30), box(-9, 1, -2, 4), ring((1, 1), (5, 1), (3, 1))])
def test_what_reaches_no_centre_has_no_pixel(shape: Points) -> None:
    assert fill([shape], *SIZE).area == 0


def test_what_lies_far_outside_is_cut_off() -> None:
    assert drawn(fill([box(-1e12, -1e12, 1e12, 1e12)], *SIZE)).all()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of COCO's tool, under NumPy 2
def test_agrees_with_the_field_but_for_its_rounding() -> None:
    """COCO's own tool samples outlines at a fifth of a pixel and rounds; large shapes differ by pixels on the rim."""
    tool = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(3)
    for _ in range(20):
        angles = np.sort(rng.random(12)) * 2 * np.pi
        shape = np.column_stack([60 + 50 * np.cos(angles), 50 + 40 * np.sin(angles)]) + rng.random(2)
        theirs = tool.decode(tool.merge(tool.frPyObjects([shape.ravel().tolist()], 100, 120)))
        ours = drawn(fill([shape], 100, 120), 100, 120)
        differ = ours != theirs
        assert differ.mean() < 0.01
        rim = cv2.dilate(theirs, np.ones((3, 3))) != cv2.erode(theirs, np.ones((3, 3)))
        assert not (differ & ~rim).any()


def test_a_circle_has_its_area() -> None:
    area = fill([ellipse(100, 100, 80, 80)], 200, 200).area
    assert area == pytest.approx(np.pi * 80**2, rel=0.002)


@pytest.mark.parametrize("turn", [0, 30, 90, 200])
def test_turned_shapes_turn_clockwise_on_the_screen(turn: float) -> None:
    # OpenCV's boxes turn the same way, in a picture whose y axis points down
    expected = sorted(cv2.boxPoints(((50.0, 40.0), (60.0, 20.0), float(turn))).round(2).tolist())
    assert np.allclose(sorted(box(20, 30, 80, 50, turn).round(2).tolist()), expected, atol=0.02)
    tip = ellipse(50, 40, 30, 10, turn)[0]
    assert tip == pytest.approx((50 + 30 * np.cos(np.radians(turn)), 40 + 30 * np.sin(np.radians(turn))))


def test_pixel_outlines_belong_to_their_shape_and_to_their_holes() -> None:
    outline, hole = ring((1, 1), (6, 1), (6, 5), (1, 5)), ring((3, 2), (4, 2), (4, 3), (3, 3))
    mask = drawn(fill_pixels(outline, [hole], *SIZE))
    assert np.array_equal(mask, rows("........", ".111111.", ".11..11.", ".11..11.", ".111111.", ".111111."))


def test_pixel_outlines_beyond_the_picture_are_cut_off() -> None:
    assert drawn(fill_pixels(ring((-9, -9), (90, -9), (90, 2), (-9, 2)), [], *SIZE)).sum() == 3 * SIZE[1]
    assert fill_pixels(ring((20, 20), (30, 20), (30, 30)), [], *SIZE) is EMPTY


@pytest.mark.parametrize(("top", "left"), [(0, 0), (-1, -2), (4, 6), (5, -1), (-9, 0), (0, 99)])
def test_a_small_mask_is_put_where_it_belongs(top: int, left: int) -> None:
    small = np.random.default_rng(0).random((3, 4)) < 0.6
    big = np.zeros((30, 130), np.uint8)
    big[10 + top : 13 + top, 10 + left : 14 + left] = small
    assert np.array_equal(drawn(place(small, top, left, *SIZE)), big[10 : 10 + SIZE[0], 10 : 10 + SIZE[1]])


def test_union() -> None:
    low, high = fill([box(0, 0, 4, 3)], *SIZE), fill([box(3, 2, 8, 6)], *SIZE)
    assert np.array_equal(drawn(union([low, EMPTY, high])), drawn(low) | drawn(high))
    assert union([]) is EMPTY
