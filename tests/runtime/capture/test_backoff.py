from __future__ import annotations

import random
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.capture.backoff import JITTER, Backoff
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.states import ABSENT, HOPELESS, Reason

OPTIONS = CaptureOptions()


class NoChance(random.Random):
    def random(self) -> float:
        return 0.0


def waits(reason: Reason, count: int = 8) -> list[float]:
    backoff = Backoff(OPTIONS, NoChance())
    return [backoff.failure(reason) for _ in range(count)]


def test_doubles_up_to_the_limit_of_the_reason() -> None:
    assert waits("codec") == [0.25, 0.5, 1, 2, 4, 5, 5, 5]
    assert waits("refused") == [0.25, 0.5, 1, 1, 1, 1, 1, 1]


def test_a_success_begins_anew() -> None:
    backoff = Backoff(OPTIONS, NoChance())
    backoff.failure("closed")
    backoff.failure("closed")
    backoff.success()
    assert backoff.failure("closed") == 0.25


@given(seed=st.integers(), start=st.floats(0, 60))
def test_a_wrong_password_is_tried_at_most_15_times_in_any_minute(seed: int, start: float) -> None:
    backoff, now, attempts = Backoff(OPTIONS, random.Random(seed)), 0.0, [0.0]
    while now < 150:
        now += backoff.failure("auth")
        attempts.append(now)
    assert sum(start <= at < start + 60 for at in attempts) <= 15


def test_the_usual_backoff_would_try_a_wrong_password_more_often() -> None:
    """The negative control: doubling from the first wait makes more than 15 in the first minute."""
    backoff, now, attempts = Backoff(OPTIONS, NoChance()), 0.0, 0
    while now < 60:
        attempts += 1
        now += backoff.failure("codec")
    assert attempts > 15


@given(seed=st.integers())
def test_waits_are_scattered_and_bounded(seed: int) -> None:
    backoff = Backoff(OPTIONS, random.Random(seed))
    given_waits = [backoff.failure("refused") for _ in range(20)]
    for wait, base in zip(given_waits, waits("refused", 20), strict=True):
        assert base <= wait <= base * (1 + JITTER)
    assert any(first != second for first, second in pairwise(given_waits[5:]))


@pytest.mark.parametrize("reason", sorted(ABSENT))
def test_a_camera_that_may_come_back_is_tried_every_second(reason: Reason) -> None:
    """So that a fresh frame is there two seconds after its return."""
    assert max(waits(reason, 50)) <= 1.0


def test_the_classes_of_reasons_are_reasons() -> None:
    assert set(get_args(Reason)) >= ABSENT | HOPELESS
    assert not ABSENT & HOPELESS
