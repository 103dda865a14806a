from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from edgeseg_runtime.instances.assignment import pairs, weighed

WEIGHTS = st.tuples(st.integers(0, 7), st.integers(0, 7)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.one_of(st.just(0.0), st.floats(0.01, 1)))
)


def total(weights: npt.NDArray[np.float64], found: list[tuple[int, int]]) -> float:
    return float(sum(weights[pair] for pair in found))


@given(WEIGHTS)
def test_no_assignment_weighs_more_and_nothing_impossible_is_paired(weights: npt.NDArray[np.float64]) -> None:
    found = pairs(weights)
    rows, columns = linear_sum_assignment(weights, maximize=True)
    assert total(weights, found) == pytest.approx(weights[rows, columns].sum(), abs=1e-9)
    assert all(weights[pair] > 0 for pair in found)
    assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)


@given(WEIGHTS, st.integers(0, 2**32 - 1), st.booleans())
@example(np.array([[0.25, 0, 0, 1], [0, 0, 0, 1]]), 0, False)
def test_what_is_weighed_only_where_it_matters_is_paired_no_worse(
    drawn: npt.NDArray[np.float64], seed: int, misled: bool
) -> None:
    dice = np.random.default_rng(seed)
    most = np.maximum(drawn, dice.uniform(0, 1, drawn.shape)) * (dice.random(drawn.shape) < 0.9)
    true = np.minimum(drawn, most)
    asked: list[tuple[int, int]] = []

    def weigh(row: int, column: int) -> float:
        asked.append((row, column))
        return float(true[row, column])

    weights = weighed(most, dice.random(drawn.shape) if misled else true, weigh)
    found = pairs(weights)
    rows, columns = linear_sum_assignment(true, maximize=True)
    assert total(true, found) == pytest.approx(true[rows, columns].sum(), abs=1e-9)
    assert len(set(asked)) == len(asked)
    assert all(most[pair] > 0 for pair in asked)
    assert all(weights[pair] in (0, true[pair]) for pair in np.ndindex(*weights.shape))


def test_where_the_true_pairs_stand_out_little_is_weighed() -> None:
    dice = np.random.default_rng(1)
    most = dice.uniform(0.2, 0.8, (80, 80))
    np.fill_diagonal(most, 1)
    asked = []

    def weigh(row: int, column: int) -> float:
        asked.append((row, column))
        return 0.85 if row == column else float(most[row, column]) / 2

    assert pairs(weighed(most, most, weigh)) == [(number, number) for number in range(80)]
    assert len(asked) == 80


def test_the_best_whole_is_not_made_of_the_best_pair() -> None:
    weights = np.array([[0.9, 0.8], [0.8, 0.1]])
    assert pairs(weights) == [(0, 1), (1, 0)]
    best = max(itertools.permutations(range(2)), key=lambda order: sum(weights[i, j] for i, j in enumerate(order)))
    assert best == (1, 0)


def test_many_of_one_side_share_few_of_the_other() -> None:
    weights = np.array([[0.5], [0.7], [0.6]])
    assert pairs(weights) == [(1, 0)]
    assert pairs(weights.T) == [(0, 1)]


def test_dense_weights_of_a_hundred_are_solved_exactly() -> None:
    weights = np.random.default_rng(3).random((100, 90))
    rows, columns = linear_sum_assignment(weights, maximize=True)
    assert total(weights, pairs(weights)) == pytest.approx(weights[rows, columns].sum())


def test_of_nothing_comes_nothing() -> None:
    assert pairs(np.zeros((0, 3))) == pairs(np.zeros((3, 0))) == pairs(np.zeros((2, 2))) == []
