from __future__ import annotations

from math import exp

import numpy as np
import pytest
import torch

from edgeseg.data.rare import LEAST, RareClasses
from edgeseg_runtime.errors import DatasetError

PIXELS = 10_000
COUNTS = np.array([[9000, 900, 0, 0], [9000, 100, 50, 0], [8000, 0, 4, 0]])
"""Three pictures, four classes, the last in none; LEAST of the pixels is 5."""


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_probabilities_are_those_of_the_paper(temperature: float) -> None:
    total = COUNTS.sum()
    weights = [exp((1 - column.sum() / total) / temperature) for column in COUNTS.T[:3]]
    expected = [weight / sum(weights) for weight in weights] + [0.0]
    assert RareClasses.of(COUNTS, PIXELS, temperature).probabilities == pytest.approx(expected, rel=1e-9)


def test_temperatures_go_from_the_rarest_alone_to_all_alike() -> None:
    assert RareClasses.of(COUNTS, PIXELS, 1e-4).probabilities == pytest.approx([0, 0, 1, 0], abs=1e-6)
    assert RareClasses.of(COUNTS, PIXELS, 1e6).probabilities == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=1e-6)


def test_a_picture_holds_a_class_from_a_few_pixels_on() -> None:
    assert LEAST * PIXELS == 5
    holders = RareClasses.of(COUNTS, PIXELS, 0.1).holders
    assert [list(pictures) for pictures in holders] == [[0, 1, 2], [0, 1], [1], []]


def test_a_class_that_is_small_everywhere_is_held_where_it_is_largest() -> None:
    counts = np.array([[100, 1], [100, 3], [100, 3], [100, 0]])
    assert list(RareClasses.of(counts, PIXELS, 0.1).holders[1]) == [1, 2]


def test_draws_are_as_frequent_as_the_formula_says() -> None:
    rare = RareClasses.of(COUNTS, PIXELS, 0.5)
    labels, pictures = rare.draws(20_000, torch.Generator().manual_seed(0))
    for label, share in enumerate(rare.probabilities):
        chosen = labels == label
        assert chosen.mean() == pytest.approx(share, abs=0.012)
        for picture in range(3):
            expected = share * (picture in rare.holders[label]) / max(1, len(rare.holders[label]))
            assert (chosen & (pictures == picture)).mean() == pytest.approx(expected, abs=0.012)


def test_one_draw_is_the_first_of_many() -> None:
    rare = RareClasses.of(COUNTS, PIXELS, 0.5)
    labels, pictures = rare.draws(1, torch.Generator().manual_seed(3))
    assert rare.draw(torch.Generator().manual_seed(3)) == (labels[0], pictures[0])


def test_nothing_labelled_is_an_error() -> None:
    with pytest.raises(DatasetError, match="no picture has a labelled pixel"):
        RareClasses.of(np.zeros((3, 4), np.int64), PIXELS, 0.1)
