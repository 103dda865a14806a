from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.capture.pace import Pace

STEP = 0.04


def verdicts(arrivals: list[float], positions: list[float]) -> list[bool]:
    pace = Pace(0.5)
    return [pace.fresh(arrived, position) for arrived, position in zip(arrivals, positions, strict=True)]


def steady(count: int, start: float = 0.0) -> list[float]:
    return [start + STEP * index for index in range(count)]


def test_a_steady_stream_is_fresh_from_its_second_frame() -> None:
    assert verdicts(steady(50, 100), steady(50)) == [False] + [True] * 49


@given(burst=st.integers(2, 200), offset=st.floats(-1e6, 1e6))
def test_old_pictures_sent_at_once_are_not_fresh(burst: int, offset: float) -> None:
    arrivals = [1000 + 0.001 * index for index in range(burst)] + steady(20, 1000 + 0.001 * burst + STEP)
    positions = [offset + STEP * index for index in range(burst + 20)]
    assert verdicts(arrivals, positions) == [False] * burst + [True] * 20


def test_what_waited_somewhere_is_not_fresh_until_it_has_been_caught_up_with() -> None:
    """Two seconds in which nothing is delivered, and then everything at once."""
    made = steady(200)
    arrivals = [max(at, 4.0) + 0.0001 * index if 2 < at < 4 else at for index, at in enumerate(made)]
    fresh = verdicts(arrivals, made)
    for at, arrived, verdict in zip(made[1:], arrivals[1:], fresh[1:], strict=True):
        assert verdict == (arrived - at <= 0.5), at


def test_a_stream_slower_than_it_should_be_is_found_behind() -> None:
    """Frames that take 5 % more time to be decoded than to be made."""
    fresh = verdicts([1.05 * at for at in steady(2000)], steady(2000))
    assert all(fresh[1:200])
    assert not any(fresh[300:])


def test_clocks_that_drift_apart_do_no_harm() -> None:
    """200 ppm for 8 hours makes 5.8 s."""
    made = np.arange(0, 8 * 3600, 0.5)
    assert all(verdicts((made * 1.0002).tolist(), made.tolist())[1:])
    lag_at_the_end = made[-1] * 0.0002
    assert lag_at_the_end > 0.5, "the negative control: by the first frame as the measure it would all be late"


@settings(max_examples=40)
@given(st.lists(st.floats(0, 0.03), min_size=20, max_size=100))
def test_jitter_does_no_harm(jitter: list[float]) -> None:
    made = steady(len(jitter))
    arrivals = np.maximum.accumulate([at + late for at, late in zip(made, jitter, strict=True)]).tolist()
    fresh = verdicts(arrivals, made)
    assert all(fresh[fresh.index(True) :])


def test_a_frame_out_of_order_is_not_fresh() -> None:
    positions = [0.0, 0.04, 0.08, 0.06, 0.12]
    assert verdicts(steady(5), positions) == [False, True, True, False, True]


def test_a_new_time_line_begins_with_caution() -> None:
    for jump in (-500.0, 500.0):
        positions = steady(10) + steady(10, jump)
        assert verdicts(steady(20), positions) == [False] + [True] * 9 + [False] + [True] * 9


def test_a_pause_of_the_camera_itself_is_no_new_time_line() -> None:
    at = [*steady(10), *steady(10, 60)]
    assert verdicts(at, at) == [False] + [True] * 19


def test_a_stream_without_time_stamps_is_shown_after_a_few_frames() -> None:
    pace = Pace(0.5)
    assert [pace.fresh(at, None) for at in steady(6)] == [False, False, False, True, True, True]
