from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from edgeseg_export.parity.bootstrap import interval, resample_weights

Floats = npt.NDArray[np.float64]


def test_weights_draw_every_resample_in_full_and_alike_for_a_seed() -> None:
    weights = resample_weights(7, 500, 3)
    assert weights.shape == (500, 7)
    assert (weights.sum(1) == 7).all()
    np.testing.assert_array_equal(weights, resample_weights(7, 500, 3))
    assert not np.array_equal(weights, resample_weights(7, 500, 4))
    # each picture is drawn Binomial(7, 1/7) times: mean 1, variance 6/7
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(6 / 7, rel=0.08)


def test_interval_of_a_mean_of_four_against_every_resample_there_is() -> None:
    """With four values all 4^4 resamples can be listed: the interval must be the percentiles of that exact set."""
    values = np.array([0.0, 1.0, 2.0, 10.0])
    every = [np.mean(draw) for draw in itertools.product(values, repeat=4)]
    low, high = np.percentile(every, [2.5, 97.5])
    found = interval(lambda weights: weights @ values / 4, 4, resamples=50_000, seed=0)
    assert found == pytest.approx((low, high), abs=0.26)  # neighbouring means are 0.25 apart


def test_a_constant_difference_has_no_width() -> None:
    gain = np.full(9, 0.3)
    assert interval(lambda weights: weights @ gain / 9, 9, resamples=200, seed=1) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize("pictures", [0, 1])
def test_fewer_than_two_pictures_have_no_interval(pictures: int) -> None:
    assert interval(lambda weights: weights.sum(1), pictures, resamples=100, seed=0) is None


def test_resamples_without_a_value_are_left_out() -> None:
    def sometimes(weights: Floats) -> Floats:
        return np.where(weights[:, 0] > 0, 5.0, np.nan)

    assert interval(sometimes, 3, resamples=300, seed=0) == (5.0, 5.0)
    assert interval(lambda weights: np.full(len(weights), np.nan), 3, resamples=300, seed=0) is None
