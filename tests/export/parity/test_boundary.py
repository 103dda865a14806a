from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from edgeseg_export.parity.boundary import (
    NO_CONTOUR,
    boundary_f,
    contour_map,
    contour_tolerance,
    edge_band,
    edge_pixels,
    match_contours,
)
from edgeseg_runtime.preprocess import Mask

CLASSES = 4
masks = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14), elements=st.integers(0, 3)
)
pairs = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))] * 2)
)


def edges_by_hand(mask: Mask) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    edges = np.zeros(mask.shape, bool)
    for y, x in np.ndindex(*mask.shape):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= y + dy < mask.shape[0] and 0 <= x + dx < mask.shape[1]:
                edges[y, x] |= mask[y, x] != mask[y + dy, x + dx]
    return edges


@given(masks)
def test_edge_pixels_are_those_with_another_class_next_to_them(mask: Mask) -> None:
    np.testing.assert_array_equal(edge_pixels(mask), edges_by_hand(mask))


@given(masks, st.integers(0, 5))
def test_band_is_the_set_within_a_euclidean_distance(mask: Mask, distance: int) -> None:
    edges = edges_by_hand(mask)
    if not edges.any():
        assert not edge_band(mask, distance).any()
        return
    to_edge = ndimage.distance_transform_edt(~edges)
    np.testing.assert_array_equal(edge_band(mask, distance), to_edge <= distance)


def test_band_around_a_straight_edge() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[:, 15:] = 1
    band = edge_band(mask, 3)
    assert np.flatnonzero(band[10]).tolist() == list(range(11, 19))


def matched_by_hand(points: Mask, target: Mask, tolerance: float) -> list[tuple[int, int]]:
    """scipy's distance transform, class by class."""
    counts = []
    for index in range(CLASSES):
        here, there = points == index, target == index
        near = ndimage.distance_transform_edt(~there) <= tolerance if there.any() else np.zeros_like(there)
        counts.append((int((here & near).sum()), int(here.sum())))
    return counts


@settings(max_examples=200)
@given(pairs, st.floats(0.2, 6))
def test_matching_is_that_of_a_distance_transform(pair: tuple[Mask, Mask], tolerance: float) -> None:
    predicted, truth = pair
    counts = match_contours(predicted, truth, tolerance, CLASSES)
    expected = [
        (*one, *other)
        for one, other in zip(
            matched_by_hand(predicted, truth, tolerance), matched_by_hand(truth, predicted, tolerance), strict=True
        )
    ]
    np.testing.assert_array_equal(counts, expected)


def test_no_contour_matches_none_not_even_beyond_the_border() -> None:
    empty = np.full((5, 5), NO_CONTOUR, np.uint8)
    corner = empty.copy()
    corner[0, 0] = 1
    counts = match_contours(corner, empty, 3.0, CLASSES)
    assert counts.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_ignored_pixels_have_no_contour_and_make_none() -> None:
    truth = np.zeros((6, 9), np.uint8)
    truth[:, 3:6] = 255
    truth[:, 6:] = 1
    assert (contour_map(truth, truth, 255) == NO_CONTOUR).all()
    mask = np.zeros((6, 9), np.uint8)
    mask[:, 2:] = 1
    contours = contour_map(mask, truth, 255)
    assert (contours[:, 1] == 0).all()
    assert (contours[:, 2] == 1).all()
    assert (contours[:, 3:] == NO_CONTOUR).all()


def test_without_ignored_pixels_the_contour_is_the_edge() -> None:
    mask = np.random.default_rng(0).integers(0, 3, (12, 17)).astype(np.uint8)
    contours = contour_map(mask, mask, 255)
    np.testing.assert_array_equal(contours != NO_CONTOUR, edge_pixels(mask))
    np.testing.assert_array_equal(contours[contours != NO_CONTOUR], mask[contours != NO_CONTOUR])


def test_tolerance_is_a_share_of_the_diagonal() -> None:
    assert contour_tolerance(360, 480, 0.0075) == pytest.approx(4.5)


def test_boundary_f_by_hand() -> None:
    # class 0: precision 3/4, recall 1/2; class 1: no true contour; class 2: predicted nothing; class 3: nothing matched
    counts = np.array([[3, 4, 5, 10], [0, 7, 0, 0], [0, 0, 0, 6], [0, 2, 0, 2]], np.int64)
    np.testing.assert_allclose(boundary_f(counts), [2 * 0.75 * 0.5 / 1.25, np.nan, 0, 0])


def test_a_shift_within_the_tolerance_costs_nothing_and_beyond_it_everything() -> None:
    truth, near, far = (np.zeros((40, 60), np.uint8) for _ in range(3))
    truth[:, 30:], near[:, 32:], far[:, 34:] = 1, 1, 1

    def score(mask: Mask) -> list[float]:
        counts = match_contours(contour_map(mask, truth, 255), contour_map(truth, truth, 255), 2.0, 2)
        return [float(value) for value in boundary_f(counts)]

    assert score(near) == [1, 1]
    assert score(far) == [0, 0]
