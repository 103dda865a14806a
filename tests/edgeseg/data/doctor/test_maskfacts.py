from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import label

from edgeseg.data.base import IGNORE
from edgeseg.data.doctor.maskfacts import StoredFacts, mask_facts, stored_facts
from edgeseg.data.masks import MaskReader
from edgeseg.data.pictures import Stored, read_stored

small_masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3))


def facts(values: npt.ArrayLike, count: int = 11) -> StoredFacts:
    stored = Stored(np.asarray(values, np.uint8), None)
    reader = MaskReader({k: k for k in range(count)})
    return stored_facts(stored, reader.translate(stored), reader)


@given(small_masks)
def test_specks_are_components_of_one_pixel_off_the_rim(mask: npt.NDArray[np.uint8]) -> None:
    expected = 0
    for value in np.unique(mask):
        parts, count = label(mask == value, np.ones((3, 3)))
        for part in range(1, count + 1):
            (y, x), size = np.argwhere(parts == part)[0], (parts == part).sum()
            expected += size == 1 and 0 < y < mask.shape[0] - 1 and 0 < x < mask.shape[1] - 1
    assert mask_facts(mask, None).specks == expected


@given(small_masks)
def test_counts_and_border(mask: npt.NDArray[np.uint8]) -> None:
    found = mask_facts(mask, None)
    assert found.counts.tolist() == [int((mask == k).sum()) for k in range(256)]
    height, width = mask.shape
    expected = sum(int(mask[y, x] != mask[y, x + 1]) for y in range(height) for x in range(width - 1)) + sum(
        int(mask[y, x] != mask[y + 1, x]) for y in range(height - 1) for x in range(width)
    )
    assert found.border == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([2, 2, 2, 8, 8, 8], (2, 0, 0)),
        ([2, 2, 4, 6, 8, 8], (0, 2, 0)),  # 2 | 4 | 6 | 8: interpolated
        ([2, 2, 5, 8, 8, 8], (0, 0, 2)),  # always 5 in between: an outline
        ([2, 2, 5, 5, 8, 8, 2, 2], (0, 0, 4)),
        ([2, 4, 6, 8], (0, 0, 0)),  # too short to look across
        ([2, 2, 9, 8, 8], (0, 0, 1)),
        ([2, 2, 3, 3, 3, 3], (0, 0, 0)),  # no number lies between 2 and 3
        ([IGNORE, IGNORE, 5, 2, 2], (0, 0, 0)),  # ignored pixels have no number
    ],
)
def test_edges(row: list[int], expected: tuple[int, int, int]) -> None:
    edges = facts([row]).edges
    assert edges is not None
    assert (edges.sharp, edges.between, edges.other) == expected
    turned = facts(np.array([row]).T).edges
    assert turned == edges


@pytest.mark.parametrize(("area", "between"), [(False, False), (True, True)])
def test_one_number_between_two_is_interpolation_where_it_has_areas_of_its_own(area: bool, between: bool) -> None:
    values = np.zeros((40, 60), np.uint8)
    values[8:24, 8:24], values[10:22, 10:22] = 1, 2  # an outline of 2 pixels
    if area:
        values[:, 40:] = 1
    edges = facts(values).edges
    assert edges is not None
    assert (edges.between > 0, edges.other > 0) == (between, not between)


def test_unknown_numbers_are_kept_with_their_pixels() -> None:
    found = facts([[0, 1, 40, 40], [0, 1, 40, 41]], 2)
    assert found.outside == {40: 3, 41: 1}
    assert found.outside_names == {40: "40", 41: "41"}
    assert found.used == {0: 0, 1: 1, 40: 254, 41: 254}
    assert not found.strewn


def test_unknown_numbers_along_edges_are_strewn_and_areas_are_not() -> None:
    values = np.zeros((40, 40), np.uint8)
    values[:, 20:] = 200
    blurred = cv2.GaussianBlur(values, (5, 5), 0)
    reader = MaskReader({0: 0, 200: 1})
    stored = Stored(np.asarray(blurred, np.uint8), None)
    assert stored_facts(stored, reader.translate(stored), reader).strewn
    values[5:15, 5:15], values[20:30, 5:15], values[5:15, 25:35] = 60, 70, 80
    stored = Stored(values, None)
    assert not stored_facts(stored, reader.translate(stored), reader).strewn


def test_colours_are_named_and_tried_in_reverse(tmp_path: Path) -> None:
    reader = MaskReader({}, {(200, 0, 0): 0, (0, 90, 10): 1})
    assert cv2.imwrite(str(tmp_path / "m.png"), np.array([[(200, 0, 0), (0, 90, 10)]], np.uint8))  # BGR: swapped
    stored = read_stored(tmp_path / "m.png")
    found = stored_facts(stored, reader.translate(stored), reader)
    assert set(found.outside_names.values()) == {"(0, 0, 200)", "(10, 90, 0)"}
    assert found.reversed_fits
    assert found.edges is None
