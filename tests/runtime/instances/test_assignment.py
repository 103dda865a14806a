from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from edgeseg_runtime.instances.assignment import pairs

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
