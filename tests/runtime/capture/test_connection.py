from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.capture.connection import Connection
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.states import Lost

OPTIONS = CaptureOptions(stall_after=1.0, read_timeout=3.0, connect_timeout=5.0, start_timeout=15.0)


def opened(at: float = 0.0) -> Connection:
    connection = Connection(OPTIONS, at)
    connection.opening_at = connection.opened_at = at
    return connection


def test_stalls_when_no_frame_comes() -> None:
    connection = opened()
    assert connection.stalled(0.9) is None
    assert connection.stalled(1.1) == "no frames"
    connection.frame(1.2)
    assert connection.stalled(2.1) is None
    assert connection.stalled(2.3) == "no frames"


def test_a_slow_stream_is_given_its_usual_time() -> None:
    connection = opened()
    for second in range(0, 60, 2):
        connection.frame(float(second))
    assert connection.stalled(58 + 5.0) is None
    assert connection.stalled(58 + 6.5) == "no frames"


def test_a_quick_and_steady_stream_is_missed_soon() -> None:
    connection = opened()
    for frame in range(200):
        connection.frame(frame / 25)
    assert connection.stalled(199 / 25 + 0.5) is None
    assert connection.stalled(199 / 25 + 0.7) == "no frames"


def test_one_that_has_not_shown_yet_that_it_is_steady_is_given_the_whole_time() -> None:
    connection = opened()
    for frame in range(60):
        connection.frame(frame / 25)
    assert connection.stalled(59 / 25 + 0.9) is None
    assert connection.stalled(59 / 25 + 1.1) == "no frames"


@given(st.lists(st.floats(0.001, 3.0), min_size=1, max_size=300))
def test_twice_the_longest_gap_of_late_is_never_a_stall_of_a_quick_stream(gaps: list[float]) -> None:
    """By brute force; and the time given is never above what a slow stream gets, nor below the least."""
    connection, now = opened(), 0.0
    connection.frame(now)
    for gap in gaps:
        now += gap
        connection.frame(now)
    usual = 0.0
    for gap in gaps:
        usual += 0.2 * (gap - usual)
    assert connection.stalled(now + 0.59) is None
    longest = 2 * max(gaps[-64:])
    if longest < 1.0:
        assert connection.stalled(now + longest - 1e-6) is None
    assert connection.stalled(now + max(1.0, 3 * usual) + 1e-6) == "no frames"


def test_damage_is_the_reason_only_if_it_came_after_the_last_good_frame() -> None:
    connection = opened()
    connection.damage(0.5)
    connection.frame(0.6)
    assert connection.stalled(2.0) == "no frames"
    connection.damage(2.5)
    assert connection.stalled(3.0) == "damaged"


def test_does_not_stall_before_it_is_open() -> None:
    connection = Connection(OPTIONS, 0.0)
    connection.opening_at = 0.0
    assert connection.stalled(4.0) is None
    assert not connection.slow(1.9)
    assert connection.slow(2.1)
    connection.opened_at = 2.2
    assert not connection.slow(3.0)


def test_a_worker_that_overruns_its_own_timeouts_is_given_up() -> None:
    connection = Connection(OPTIONS, 0.0)
    connection.check(14.9)
    with pytest.raises(Lost, match="worker hung"):
        connection.check(15.1)
    connection.opening_at = 1.0
    connection.check(7.9)
    with pytest.raises(Lost, match="timeout"):
        connection.check(8.1)
    connection.opened_at = 2.0
    connection.frame(3.0)
    connection.check(10.9)
    with pytest.raises(Lost, match="worker hung"):
        connection.check(11.1)
