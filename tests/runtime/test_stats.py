from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.stats import STAGES, Histogram, Spread, StreamStats, StreamSummary, percentile, spreads

DURATIONS = st.lists(st.floats(1e-5, 1e4), min_size=1, max_size=200)


def filled(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    return histogram


@given(DURATIONS, st.sampled_from([1.0, 50.0, 90.0, 99.0, 100.0]))
def test_percentiles_are_numpys_nearest_rank_to_a_bins_width(durations: list[float], percent: float) -> None:
    expected = float(np.percentile(durations, percent, method="inverted_cdf"))
    assert percentile(filled(durations).counts(), percent) == pytest.approx(expected, rel=0.0115)


@given(DURATIONS)
def test_every_duration_is_counted_once(durations: list[float]) -> None:
    assert filled(durations).counts().sum() == len(durations)


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e-6, 1e9])
def test_durations_outside_the_range_are_counted_at_its_ends(seconds: float) -> None:
    counts = filled([seconds]).counts()
    assert np.flatnonzero(counts)[0] == (0 if seconds < 1 else len(counts) - 1)


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile(Histogram().counts(), 50) is None


def test_the_difference_of_two_counts_describes_the_time_between() -> None:
    stats = StreamStats()
    stats.emit(10.0, (1.0,) * len(STAGES))
    before = stats.counts()
    stats.emit(0.02, tuple(0.001 * (place + 1) for place in range(len(STAGES))))
    age, stages = spreads(stats.counts() - before)
    assert age.p50 == age.p99 == pytest.approx(0.02, rel=0.0115)
    assert [spread.p50 for spread in stages.values()] == pytest.approx(
        [0.001 * (place + 1) for place in range(len(STAGES))], rel=0.0115
    )
    assert tuple(stages) == STAGES


def test_a_frame_needs_a_time_for_every_stage() -> None:
    with pytest.raises(ValueError, match="zip"):
        StreamStats().emit(0.1, (0.1,))


def test_a_spread_is_told_in_milliseconds() -> None:
    assert str(Spread(0.00123, 0.5)) == "1.2/500.0"
    assert str(Spread(None, None)) == "-/-"
    assert Spread(0.002, None).as_ms() == {"p50_ms": 2.0, "p99_ms": None}


def summary(emitted: int, seconds: float) -> StreamSummary:
    age, stages = spreads(StreamStats().counts())
    return StreamSummary("clip.mp4", emitted, emitted, 0, seconds, age, stages, "end", ())


def test_the_rate_is_frames_over_seconds() -> None:
    assert summary(30, 1.5).fps == 20
    assert summary(0, 0.0).fps == 0
    assert math.isclose(summary(10, 3.0).as_dict()["fps"], 3.33)
