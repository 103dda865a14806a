from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.contenders import contenders, everywhere
from edgeseg_runtime.decode import ScoreDecoder
from tests.runtime.test_decode import patchy_scores, random_scores, seeds, sides, upsample


@settings(max_examples=200)
@given(st.integers(1, 10), sides, sides, st.integers(1, 8), seeds, st.sampled_from([1e-6, 1.0, 1e6]), st.booleans())
def test_no_class_wins_outside_of_its_box(
    classes: int, h: int, w: int, factor: int, seed: int, scale: float, patchy: bool
) -> None:
    scores = (
        patchy_scores(classes, h, w, seed) * np.float32(scale) if patchy else random_scores(classes, h, w, seed, scale)
    )
    winners = upsample(scores, h * factor, w * factor).argmax(axis=0)
    found = {contender.class_index: contender for contender in contenders(scores)}
    assert list(found) == sorted(found)
    for index in np.unique(winners):
        rows, columns = ((np.nonzero(winners == index)[axis] + 0.5) / factor - 0.5 for axis in (0, 1))
        box = found[index]
        assert box.top <= max(0, rows.min()) and min(rows.max(), h - 1) <= box.bottom
        assert box.left <= max(0, columns.min()) and min(columns.max(), w - 1) <= box.right


def test_classes_that_are_nowhere_near_are_dropped() -> None:
    scores = np.zeros((4, 8, 9), np.float32)
    scores[1:3] = -5  # class 1 everywhere; class 2 wins in one cell; 3 ties with 0
    scores[2, 3, 5] = 9
    assert contenders(scores) == [(0, 0, 7, 0, 8), (2, 2, 4, 4, 6), (3, 0, 7, 0, 8)]


def test_boxes_reach_to_the_edges() -> None:
    scores = np.zeros((3, 5, 6), np.float32)
    scores[1:] = -1
    scores[1, 0, 0] = scores[2, 4, 5] = 1
    assert contenders(scores)[1:] == [(1, 0, 1, 0, 1), (2, 3, 4, 4, 5)]


def test_images_taller_than_16_bits() -> None:
    scores = np.zeros((255, 200, 2), np.float32)  # 51,000 rows when the planes are stacked
    scores[254] = -1
    scores[254, 199, 1] = 1
    assert contenders(scores)[-1] == (254, 198, 199, 0, 1)
    assert ScoreDecoder(600, 6)(scores)[-1, -1] == 254


def test_everywhere_is_the_whole_picture() -> None:
    assert everywhere(2, 3, 4) == [(0, 0, 2, 0, 3), (1, 0, 2, 0, 3)]
