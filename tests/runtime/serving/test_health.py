from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.serving.health import Health
from edgeseg_runtime.serving.spec import ServingOptions


def test_the_fifth_failure_in_a_minute_is_degraded() -> None:
    health = Health(ServingOptions(), 0.01)
    assert [health.failed(now) for now in (0, 14, 29, 44, 59)] == [False, False, False, False, True]
    assert health.degraded


def test_five_failures_in_more_than_a_minute_are_not() -> None:
    health = Health(ServingOptions(), 0.01)
    assert not any(health.failed(16.0 * number) for number in range(50))
    assert not health.degraded


def test_it_is_told_once_and_recovers_after_a_minute_without_failure() -> None:
    health = Health(ServingOptions(), 0.01)
    assert sum(health.failed(float(second)) for second in range(30)) == 1
    assert not health.worked(0.01, 30) and health.degraded
    assert not health.worked(0.01, 88.9) and health.degraded
    assert health.worked(0.01, 89.1) and not health.degraded
    assert not health.worked(0.01, 89.2)
    assert not health.failed(90)  # what was before the recovery counts no more


@given(st.lists(st.floats(0, 200), min_size=1, max_size=60).map(sorted))
def test_degraded_is_what_counting_says(failures: list[float]) -> None:
    health = Health(ServingOptions(), 0.01)
    for index, now in enumerate(failures):
        health.failed(now)
        by_hand = any(
            sum(1 for other in failures[: last + 1] if failures[last] - other <= 60) >= 5 for last in range(index + 1)
        )
        assert health.degraded == by_hand


@given(st.lists(st.floats(1e-4, 10), max_size=200))
def test_the_deadline_follows_the_median(durations: list[float]) -> None:
    health = Health(ServingOptions(), 0.5)
    for seconds in durations:
        health.worked(seconds, 0)
    assert health.deadline == pytest.approx(max(2.0, 20 * median([0.5, *durations][-63:])))


def test_a_deadline_that_is_given_is_kept() -> None:
    health = Health(ServingOptions(deadline_seconds=0.3), 10)
    assert health.deadline == 0.3


def test_restarts_wait_twice_as_long_each_time_up_to_a_limit() -> None:
    health = Health(ServingOptions(), 0.01)
    waits = []
    for second in range(60):
        health.failed(float(second))
        waits.append(health.backoff)
    assert waits[:8] == [0, 0.25, 0.5, 1, 2, 4, 5, 5] and waits[-1] == 5
    health.worked(0.01, 61)
    health.failed(62)
    assert health.backoff == 0
