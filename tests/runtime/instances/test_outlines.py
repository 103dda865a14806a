from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeseg_runtime.instances.outlines import Points, outline, parts, rings
from edgeseg_runtime.instances.region import EMPTY, Region

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
HEIGHT, WIDTH = 12, 13


def windings(lines: list[Points]) -> npt.NDArray[np.int64]:
    """How often the lines go around each pixel's centre, clockwise: the edges on its left that go up, less those down.

    By the even-odd rule a pixel is inside where the number is odd, by the nonzero rule where it is not 0.
    """
    y, x = np.mgrid[0.5:HEIGHT, 0.5:WIDTH]
    number = np.zeros((HEIGHT, WIDTH), np.int64)
    for line in lines:
        for (x0, y0), (x1, y1) in zip(line, np.roll(line, -1, axis=0), strict=True):
            if y0 != y1:
                crossed = ((y0 < y) != (y1 < y)) & (x0 + (y - y0) / (y1 - y0) * (x1 - x0) < x)
                number += np.where(crossed, 1 if y0 > y1 else -1, 0)
    return number


def whole(region: Region) -> npt.NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    rows, columns = region.inside.shape
    mask[region.top : region.top + rows, region.left : region.left + columns] = region.inside
    return mask


@settings(max_examples=150, deadline=None)
@given(masks, st.integers(0, 3), st.integers(0, 3))
def test_what_is_enclosed_is_the_region(inside: npt.NDArray[np.bool_], top: int, left: int) -> None:
    region = Region(top, left, inside)
    np.testing.assert_array_equal(windings(rings(region)), whole(region))
    if inside.any():
        np.testing.assert_array_equal(windings([outline(region)]), whole(region))


@settings(max_examples=80, deadline=None)
@given(masks)
def test_lines_run_along_pixels_and_turn_at_every_point(inside: npt.NDArray[np.bool_]) -> None:
    for ring in rings(Region(0, 0, inside)):
        steps = np.roll(ring, -1, axis=0) - ring
        assert ((steps[:, 0] == 0) != (steps[:, 1] == 0)).all()
        assert ((steps[:, 0] == 0) != (np.roll(steps, -1, axis=0)[:, 0] == 0)).all()


@settings(max_examples=80, deadline=None)
@given(masks)
def test_parts_are_what_scipy_labels(inside: npt.NDArray[np.bool_]) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    numbers, count = ndimage.label(inside)
    found = parts(Region(2, 3, inside))
    assert len(found) == count
    told = {whole(part).tobytes() for part in found}
    assert told == {whole(Region(2, 3, numbers == number)).tobytes() for number in range(1, count + 1)}
    assert all(part.inside.any(axis=1).all() or part.inside.any(axis=0).all() for part in found)


def test_by_hand() -> None:
    (ring,) = rings(Region(5, 2, np.array([[True, True], [True, False]])))
    assert ring.tolist() == [[2, 5], [4, 5], [4, 6], [3, 6], [3, 7], [2, 7]]
    hollow = np.pad(np.zeros((1, 1), np.bool_), 1, constant_values=True)
    assert [ring.tolist() for ring in rings(Region(0, 0, hollow))] == [
        [[0, 0], [3, 0], [3, 3], [0, 3]],
        [[1, 2], [2, 2], [2, 1], [1, 1]],
    ]
    assert outline(Region(0, 0, hollow)).tolist()[4:] == [[0, 0], [1, 2], [2, 2], [2, 1], [1, 1], [1, 2]]
    assert rings(EMPTY) == [] and parts(EMPTY) == []
