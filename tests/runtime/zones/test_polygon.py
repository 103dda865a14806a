from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.zones import Zone

unit = st.floats(0, 1)
polygons = st.lists(st.tuples(unit, unit), min_size=3, max_size=9, unique=True)


def winding_is_odd(x: float, y: float, points: list[tuple[float, float]]) -> bool:
    """The textbook's even-odd rule for one point: count the sides that a ray to the left crosses."""
    odd = False
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 > y) != (y1 > y):
            odd ^= x0 + (y - y0) / (y1 - y0) * (x1 - x0) < x
    return odd


def near_a_side(x: float, y: float, points: list[tuple[float, float]]) -> bool:
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        length = math.hypot(x1 - x0, y1 - y0)
        along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length**2 if length > 1e-150 else 0.0
        along = min(1.0, max(0.0, along))
        if math.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) < 1e-9:
            return True
    return False


@settings(deadline=None)
@given(polygons, st.integers(1, 20), st.integers(1, 20))
def test_a_pixel_is_inside_if_its_centre_is(points: list[tuple[float, float]], height: int, width: int) -> None:
    inside = Zone("z", tuple(points)).inside(height, width)
    assert inside.shape == (height, width)
    for row in range(height):
        for column in range(width):
            x, y = (column + 0.5) / width, (row + 0.5) / height
            if not near_a_side(x, y, points):  # on the very border rounding decides
                assert inside[row, column] == winding_is_odd(x, y, points)


@settings(deadline=None)
@given(st.tuples(unit, unit), st.tuples(unit, unit), st.integers(1, 40), st.integers(1, 40))
def test_zones_that_share_a_side_share_no_pixel_and_leave_none_out(
    first: tuple[float, float], second: tuple[float, float], height: int, width: int
) -> None:
    """The frame, cut in two along a line through two points on its upper and lower edge."""
    upper, lower = (first[0], 0.0), (second[0], 1.0)
    left = {(0.0, 0.0): None, upper: None, lower: None, (0.0, 1.0): None}
    right = {upper: None, (1.0, 0.0): None, (1.0, 1.0): None, lower: None}
    counted = np.zeros((height, width), int)
    for corners in (left, right):
        if len(corners) >= 3:
            counted += Zone("z", tuple(corners)).inside(height, width)
    if len(left) >= 3 and len(right) >= 3:
        assert (counted == 1).all()


def test_drawing_with_opencv_would_give_pixels_to_both_neighbours() -> None:
    """The negative control for the test above: OpenCV's polygons include their border on every side."""
    counted = np.zeros((40, 40), np.uint8)
    for left, right in ((0, 20), (20, 40)):
        canvas = np.zeros_like(counted)
        cv2.fillPoly(canvas, [np.array([[left, 0], [right, 0], [right, 40], [left, 40]])], 1)
        counted += canvas
    assert (counted == 2).any()


def test_the_whole_frame_and_half_of_it() -> None:
    assert Zone("all", ((0, 0), (1, 0), (1, 1), (0, 1))).inside(7, 9).all()
    half = Zone("left", ((0, 0), (0.5, 0), (0.5, 1), (0, 1))).inside(6, 8)
    assert half[:, :4].all() and not half[:, 4:].any()


@pytest.mark.parametrize(
    ("points", "crosses"),
    [
        (((0, 0), (1, 0), (1, 1), (0, 1)), False),
        (((0, 0), (1, 1), (1, 0), (0, 1)), True),  # an hour-glass
        (((0, 0), (1, 0), (0.5, 0.2), (1, 1), (0, 1)), False),  # dented
        (((0, 0), (1, 0), (0.5, 1), (0.5, 0)), True),  # a corner lies on a side
        (((0, 0), (1, 0), (0, 1)), False),
    ],
)
def test_a_border_that_crosses_itself_is_known(points: tuple[tuple[float, float], ...], crosses: bool) -> None:
    assert Zone("z", points).crosses_itself is crosses


def test_what_an_hour_glass_encloses_is_inside() -> None:
    inside = Zone("glass", ((0, 0), (1, 1), (1, 0), (0, 1))).inside(9, 9)
    assert inside[4, 0] and inside[4, 8] and not inside[0, 4] and not inside[8, 4]


@pytest.mark.parametrize(
    ("name", "points", "message"),
    [
        ("gate", ((0, 0), (1, 1)), r"zone 'gate' has 2 different points; it needs 3 to 500"),
        ("gate", ((0, 0), (1, 1), (0, 0)), r"zone 'gate' has 2 different points"),
        ("gate", (), r"zone 'gate' has 0 different points"),
        ("gate", ((0, 0), (1.2, 0), (1, 1)), r"zone 'gate' has the point \(1.2, 0\); x and y must be in 0..1"),
        ("gate", ((0, 0), (1, -0.1), (1, 1)), r"the point \(1, -0.1\)"),
        ("gate", ((0, 0), (float("nan"), 0), (1, 1)), r"the point \(nan, 0\)"),
        (" ", ((0, 0), (1, 0), (1, 1)), "a zone needs a printable name"),
        ("a\nb", ((0, 0), (1, 0), (1, 1)), "a zone needs a printable name"),
        ("x" * 101, ((0, 0), (1, 0), (1, 1)), "of 1 to 100 characters"),
    ],
)
def test_a_zone_that_encloses_nothing_is_named(
    name: str, points: tuple[tuple[float, float], ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Zone(name, points)
