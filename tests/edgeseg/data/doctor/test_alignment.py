from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edgeseg.data.base import IGNORE
from edgeseg.data.doctor.alignment import REACH, SIDE, _border, _gradient_ranks, alignment, every_fit
from edgeseg.data.doctor.placement import significant
from edgeseg.data.procedural import ProceduralData, ProceduralSpec

SAMPLE = ProceduralData(ProceduralSpec(48, 64, 1), "train").read(0)


def by_hand(dy: int, dx: int) -> float:
    """The mean rank along the border moved by (dy, dx), pixel by pixel."""
    ranks, border = _gradient_ranks(SAMPLE.image), _border(SAMPLE.mask)
    total, height, width = 0.0, *ranks.shape
    for y, x in np.argwhere(border > 0):
        if 0 <= y + dy < height and 0 <= x + dx < width:
            total += float(ranks[y + dy, x + dx])
    return total / float(border.sum())


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (0, 5), (-7, 2), (REACH, -REACH), (3, 0)])
def test_all_moves_at_once_are_each_move_by_hand(dy: int, dx: int) -> None:
    found = alignment(SAMPLE.image, SAMPLE.mask)
    assert found is not None
    assert float(found.moved[REACH + dy, REACH + dx]) == pytest.approx(by_hand(dy, dx), abs=1e-3)
    assert found.score == pytest.approx(by_hand(0, 0), abs=1e-3)


def test_ranks_are_those_of_scipy() -> None:
    from scipy.stats import rankdata

    ranks = _gradient_ranks(SAMPLE.image)
    steps = [cv2.Sobel(SAMPLE.image, cv2.CV_32F, *d).astype(np.float32) for d in ((1, 0), (0, 1))]
    wide = cv2.dilate(np.hypot(*steps).max(2), np.ones((3, 3), np.uint8))
    expected = (rankdata(np.round(wide, 3).ravel()) - 0.5) / wide.size - 0.5
    assert np.abs(ranks.ravel() - expected).max() < 0.01
    assert abs(float(ranks.mean())) < 1e-3


def test_every_mask_has_its_place_even_one_that_says_nothing() -> None:
    other = ProceduralData(ProceduralSpec(48, 64, 2), "train").read(1)
    blank = np.zeros_like(SAMPLE.mask)
    fits = every_fit([(SAMPLE.image, SAMPLE.mask), (SAMPLE.image, blank), (other.image, other.mask)])
    assert fits[0, 0] == pytest.approx(by_hand(0, 0), abs=1e-5)
    assert np.array_equal(fits[:, 1], np.zeros(3))
    border = _border(other.mask)
    assert fits[1, 2] == pytest.approx(float((_gradient_ranks(SAMPLE.image) * border).sum() / border.sum()), abs=1e-5)


def test_a_turned_mask_fits_once_turned_back() -> None:
    own = alignment(SAMPLE.image, SAMPLE.mask)
    turned = alignment(SAMPLE.image, np.ascontiguousarray(SAMPLE.mask[::-1, ::-1]))
    assert own is not None
    assert turned is not None
    assert turned.turned["turned by 180°"] == pytest.approx(own.score, abs=1e-3)
    assert turned.score < own.score


def test_quarters_are_tried_on_square_pictures_alone() -> None:
    wide = alignment(SAMPLE.image, SAMPLE.mask)
    square = alignment(SAMPLE.image[:, :48], SAMPLE.mask[:, :48])
    assert wide is not None
    assert square is not None
    assert set(square.turned) - set(wide.turned) == {"turned by 90° to the left", "turned by 90° to the right"}


def test_moves_are_told_in_the_pictures_pixels() -> None:
    big = cv2.resize(SAMPLE.image, (4 * SIDE, 3 * SIDE)), cv2.resize(SAMPLE.mask, (4 * SIDE, 3 * SIDE))
    found = alignment(*big)  # type: ignore[arg-type]
    assert found is not None
    assert found.pixel == (4.0, 4.0)


@pytest.mark.parametrize("fill", [0, IGNORE])
def test_a_mask_without_border_tells_nothing(fill: int) -> None:
    assert alignment(SAMPLE.image, np.full((48, 64), fill, np.uint8)) is None


def test_edges_of_ignored_areas_are_no_border() -> None:
    mask = np.zeros((48, 64), np.uint8)
    mask[:, 30:] = IGNORE
    assert alignment(SAMPLE.image, mask) is None


def test_tiny_pictures_tell_nothing() -> None:
    assert alignment(SAMPLE.image[:20, :20], SAMPLE.mask[:20, :20]) is None


@pytest.mark.parametrize(
    ("gains", "sure"),
    [
        ([0.1] * 4 + [0.11] * 4, True),
        ([0.02, 0.021] * 8, False),  # too small
        ([0.5, -0.4] * 20, False),  # too unsure
        ([0.1, 0.11], False),  # too few
        ([], False),
    ],
)
def test_what_is_significant(gains: list[float], sure: bool) -> None:
    values: npt.NDArray[np.float64] = np.array(gains)
    assert significant(values) is sure
