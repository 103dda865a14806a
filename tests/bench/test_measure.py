"""Arithmetic of the measurements, with a clock of the tests' own: nothing here depends on how fast the machine is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_bench.measure import (
    MIN_LAPS,
    SLICES,
    TURNS,
    Laps,
    percentiles_ms,
    rate,
    run_lanes,
    take_turns,
    throughputs,
)
from edgeseg_bench.subjects import Lane, Subject
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import StageTimes

FRAMES = [np.full((2, 2, 3), number, np.uint8) for number in range(4)]


class FakeClock:
    """Time passes only when a subject works."""

    def __init__(self) -> None:
        self.now = 100.0
        self.diary: list[str] = []

    def __call__(self) -> float:
        return self.now

    def subject(self, name: str, seconds: Callable[[int], float], stages: StageTimes | None = None) -> Subject:
        """A subject whose n-th frame takes `seconds(n)`."""
        count = 0

        def lane(frame: Image) -> StageTimes | None:
            nonlocal count
            self.now += seconds(count)
            self.diary.append(name)
            count += 1
            return stages

        return subject(name, lane, set_threads=lambda number: self.diary.append(f"{name}:{number}"))


def subject(
    name: str,
    lane: Lane,
    lanes: tuple[Lane, ...] = (),
    threads: int = 1,
    set_threads: Callable[[int], None] = lambda _: None,
) -> Subject:
    return Subject(name, "engine", "float32", threads, None, ("a",), lambda f: f[..., 0], lane, lanes, set_threads)


# --- percentiles ---


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=300))
def test_percentiles_interpolate_between_order_statistics(seconds: list[float]) -> None:
    ordered = sorted(seconds)

    def by_hand(percent: float) -> float:
        place = (len(ordered) - 1) * percent / 100
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return 1e3 * (ordered[low] + (place - low) * (ordered[high] - ordered[low]))

    got = percentiles_ms(seconds)
    for percent in (50, 95, 99):
        assert got[f"p{percent}_ms"] == pytest.approx(by_hand(percent), rel=1e-9, abs=1e-4)
    assert got["p50_ms"] <= got["p95_ms"] <= got["p99_ms"]


def test_percentiles_of_nothing_are_an_error() -> None:
    with pytest.raises(ValueError, match="no lap"):
        percentiles_ms([])


def test_stages_are_medians_in_milliseconds() -> None:
    laps = Laps()
    for factor in (1, 2, 30):
        laps.add(factor * 0.006, StageTimes(factor * 0.001, factor * 0.002, factor * 0.003))
    summary = laps.as_dict()
    assert summary["frames"] == 3 and summary["p50_ms"] == 12
    assert summary["stages_ms"] == {"preprocess": 2, "infer": 4, "decode": 6}


def test_code_without_stages_has_none() -> None:
    laps = Laps()
    laps.add(0.5, None)
    assert laps.as_dict()["stages_ms"] is None


# --- latency in turns ---


def test_latency_is_each_subjects_own_time() -> None:
    clock = FakeClock()
    stages = StageTimes(0.001, 0.002, 0.001)
    subjects = [clock.subject("fast", lambda _: 0.004, stages), clock.subject("slow", lambda _: 0.010)]
    fast, slow = take_turns(subjects, FRAMES, seconds=4.0, clock=clock)
    assert fast.as_dict()["p50_ms"] == fast.as_dict()["p99_ms"] == pytest.approx(4)
    assert slow.as_dict()["p50_ms"] == pytest.approx(10)
    assert len(fast.stages) == len(fast.whole) and slow.stages == []


def test_every_subject_gets_its_seconds() -> None:
    clock = FakeClock()
    subjects = [clock.subject("fast", lambda _: 0.004), clock.subject("slow", lambda _: 0.010)]
    laps = take_turns(subjects, FRAMES, seconds=4.0, clock=clock)
    for own in laps:
        # the one uncounted frame of a turn and the last one, which overruns it, are all that is lost or added
        assert 4.0 - TURNS * 0.010 <= sum(own.whole) <= 4.0 + TURNS * 0.010


def test_the_first_frame_of_a_turn_does_not_count() -> None:
    clock = FakeClock()
    cold = clock.subject("cold", lambda _: 0.010)
    fresh = [True]

    def lane(frame: Image) -> None:
        clock.now += 5.0 if fresh[0] else 0.001
        fresh[0] = False

    def set_threads(number: int) -> None:
        fresh[0] = True  # called before every turn, as if another subject had emptied the caches

    warm = subject("warm", lane, set_threads=set_threads)
    laps = take_turns([cold, warm], FRAMES, seconds=1.0, clock=clock)[1]
    assert max(laps.whole) == pytest.approx(0.001)


def test_subjects_take_turns_and_none_always_goes_first() -> None:
    clock = FakeClock()
    names = ["a", "b", "c"]
    take_turns([clock.subject(name, lambda _: 0.001) for name in names], FRAMES, seconds=0.1, clock=clock)
    order = [entry[0] for entry in clock.diary if ":" in entry]
    assert order[:3] == names  # the warm-up
    rounds = [order[place : place + 3] for place in range(3, len(order), 3)]
    assert len(rounds) == TURNS and all(sorted(turn) == names for turn in rounds)
    assert {turn[0] for turn in rounds} == set(names)


def test_a_subject_too_slow_for_its_share_sits_out_but_is_measured() -> None:
    clock = FakeClock()
    subjects = [clock.subject("fast", lambda _: 0.001), clock.subject("snail", lambda _: 1.0)]
    fast, snail = take_turns(subjects, FRAMES, seconds=4.0, clock=clock)
    assert MIN_LAPS <= len(snail.whole) < TURNS
    assert len(fast.whole) > 3000


def test_no_time_at_all_still_gives_laps() -> None:
    clock = FakeClock()
    assert len(take_turns([clock.subject("a", lambda _: 1.0)], FRAMES, seconds=1e-9, clock=clock)[0].whole) >= MIN_LAPS


def test_thread_settings_are_the_subjects_own() -> None:
    clock = FakeClock()
    one = clock.subject("a", lambda _: 0.01)
    two = Subject(**{**one.__dict__, "threads": 4})
    take_turns([two], FRAMES, seconds=0.1, clock=clock)
    assert {entry for entry in clock.diary if ":" in entry} == {"a:4"}


# --- throughput ---


def test_rate_by_hand() -> None:
    assert rate(10.0, [[11.0, 12.0, 13.0, 14.0]]) == 1.0
    assert rate(10.0, [[11.0, 12.0], [11.0, 12.0]]) == 2.0
    # the second lane's last frame ends after the first lane has stopped working: it does not count
    assert rate(0.0, [[1.0, 2.0, 3.0, 4.0], [2.5, 5.0]]) == pytest.approx(5 / 4)


@given(st.integers(1, 6), st.integers(1, 50), st.floats(0.001, 10))
def test_rate_of_even_lanes_is_lanes_over_a_frames_time(lanes: int, frames: int, seconds: float) -> None:
    done = [[7.0 + seconds * (number + 1) for number in range(frames)] for _ in range(lanes)]
    assert rate(7.0, done) == pytest.approx(lanes / seconds)


def test_lanes_run_at_the_same_time_in_threads_of_their_own() -> None:
    meeting = threading.Barrier(3, timeout=20)
    seen: list[set[int]] = [set(), set(), set()]

    def lane(place: int) -> Lane:
        def run(frame: Image) -> None:
            seen[place].add(threading.get_ident())
            if len(seen[place]) == 1 and not met[place]:
                met[place] = True
                meeting.wait()  # passes only if all three lanes are here together

        return run

    met = [False, False, False]
    started, done = run_lanes([lane(place) for place in range(3)], FRAMES, seconds=0.0)
    assert len(set.union(*seen)) == 3
    assert [len(times) for times in done] == [1, 1, 1]
    assert all(time >= started for times in done for time in times)


def test_every_lane_works_until_the_time_is_up() -> None:
    ticks = iter(range(1_000_000))
    lock = threading.Lock()

    def clock() -> float:
        with lock:
            return next(ticks) * 0.1

    started, done = run_lanes([lambda _: None, lambda _: None], FRAMES, seconds=5.0, clock=clock)
    for times in done:
        assert times[-1] - started >= 5.0
        assert all(time - started < 5.0 for time in times[:-1])


def test_a_single_lane_works_in_the_callers_thread() -> None:
    """PyTorch uses little more than one of its threads in any other."""
    met: list[threading.Thread] = []
    clock = FakeClock()

    def lane(_: Image) -> None:
        met.append(threading.current_thread())
        clock.now += 2.0

    started, done = run_lanes([lane], FRAMES, seconds=5.0, clock=clock)
    assert set(met) == {threading.current_thread()}
    assert (started, done) == (102.0, [[104.0, 106.0, 108.0]])  # the first frame is not counted


@pytest.mark.parametrize("broken_from", [0, 3])
def test_what_a_lane_raises_reaches_the_caller(broken_from: int) -> None:
    count = iter(range(1_000_000))

    def broken(frame: Image) -> None:
        if next(count) >= broken_from:
            raise RuntimeError("lane broke")

    with pytest.raises(RuntimeError, match="lane broke"):
        run_lanes([broken, lambda _: None], FRAMES, seconds=0.05)


def test_throughput_uses_the_lanes_with_one_opencv_thread_each() -> None:
    asked: list[int] = []
    calls = [0, 0]

    def lane(place: int) -> Lane:
        def run(frame: Image) -> None:
            calls[place] += 1

        return run

    def alone(frame: Image) -> None:
        raise AssertionError("the latency lane has no part in throughput")

    rates = throughputs(
        [subject("a", alone, (lane(0), lane(1)), threads=2, set_threads=asked.append)], FRAMES, seconds=0.003
    )
    assert asked == [1] * SLICES
    assert rates[0] > 0 and min(calls) >= SLICES
