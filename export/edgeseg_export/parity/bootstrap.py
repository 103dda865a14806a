"""How far a difference may be chance of which pictures were looked at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def resample_weights(pictures: int, resamples: int, seed: int) -> Floats:
    """Draw `pictures` pictures with replacement, `resamples` times: how often each was drawn, (resamples, pictures)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=resamples).astype(np.float64)


def interval(
    statistic: Callable[[Floats], Floats], pictures: int, *, resamples: int, seed: int
) -> tuple[float, float] | None:
    """Return the 95 % percentile bootstrap interval of `statistic` over pictures, or None where there is none.

    `statistic` takes weights (resamples, pictures) and returns a value a row. A statistic of the difference between two
    paths on the same pictures makes the bootstrap a paired one. Fewer than two pictures have no interval. Pictures are
    taken to be independent: on neighbouring frames of one video the true interval is wider.
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    if pictures < 2:
        return None
    values = statistic(resample_weights(pictures, resamples, seed))
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
