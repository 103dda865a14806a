"""The controller against simulated loads: a machine whose inference takes cost × load seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.temporal.adaptive import DOWN, DOWN_SAMPLES, FIRST_WAIT_S, LONGEST_WAIT_S, AdaptiveSize

COSTS = (0.25, 0.5, 1.0)
PERIOD = 1 / 30


@dataclass
class Run:
    times: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    switches: list[tuple[float, int, int]] = field(default_factory=list)

    def place_at(self, moment: float) -> int:
        return self.places[int(np.searchsorted(self.times, moment)) - 1]

    def between(self, start: float, end: float) -> list[tuple[float, int, int]]:
        return [switch for switch in self.switches if start < switch[0] <= end]


def simulate(
    load: Callable[[float], float],
    seconds: float,
    *,
    costs: tuple[float, ...] = COSTS,
    true_costs: tuple[float, ...] | None = None,
) -> Run:
    """Run frame after frame: inference at cost 1 takes `load(now)` periods; the camera gives a frame a period."""
    controller, run, now = AdaptiveSize(costs, PERIOD), Run(), 100.0
    place = controller.index
    while now < 100 + seconds:
        took = load(now - 100) * (true_costs or costs)[place] * PERIOD
        now += max(took, PERIOD)
        chosen = controller.observe(took, now)
        if chosen != place:
            run.switches.append((now - 100, place, chosen))
        place = chosen
        run.times.append(now - 100)
        run.places.append(place)
    return run


def test_without_load_it_stays_at_the_largest_size() -> None:
    run = simulate(lambda _: 0.7, 300)
    assert set(run.places) == {2} and not run.switches


def test_a_step_of_load_is_answered_at_once_and_taken_back_when_it_is_over() -> None:
    run = simulate(lambda now: 1.5 if 10 <= now < 40 else 0.7, 120)
    went_down = run.switches[0]
    assert (went_down[1], went_down[2]) == (2, 1)  # 1.5 × 0.5 fits, so the smallest size is not needed
    assert went_down[0] - 10 <= (DOWN_SAMPLES + 1) * 1.5 * PERIOD
    assert not run.between(went_down[0], 40)
    came_back = run.switches[1]
    assert (came_back[1], came_back[2]) == (1, 2) and came_back[0] - 40 <= 2
    assert not run.between(came_back[0], 120)


def test_a_great_load_goes_straight_to_the_size_that_fits() -> None:
    run = simulate(lambda _: 3.0, 20)
    assert [switch[1:] for switch in run.switches] == [(2, 0)]
    run = simulate(lambda _: 30.0, 60)  # nothing fits: the smallest, and no more is tried
    assert [switch[1:] for switch in run.switches] == [(2, 0)]


def test_a_ramp_up_and_down_passes_each_size_once_each_way() -> None:
    run = simulate(lambda now: 0.5 + 3.0 * (1 - abs(now - 100) / 100), 260)
    assert [switch[1:] for switch in run.switches] == [(2, 1), (1, 0), (0, 1), (1, 2)]


def test_single_slow_frames_are_no_load() -> None:
    def load(now: float) -> float:
        return 5.0 if int(now * 30) % 10 == 0 else 0.7

    assert not simulate(load, 120).switches


@pytest.mark.parametrize("spread", [0.1, 0.3])
@pytest.mark.parametrize("level", [0.6, 0.9, 0.95, 1.0, 1.3, 1.9, 3.5])
def test_noise_makes_it_neither_swing_nor_starve(level: float, spread: float) -> None:
    rng = np.random.default_rng(int(100 * level))
    run = simulate(lambda _: level * float(np.exp(rng.normal(0, spread))), 240)
    assert len(run.between(60, 240)) <= 6  # at worst a try a minute
    late = sum(cost * level > 1.1 for cost in np.array(COSTS)[run.places[len(run.places) // 3 :]])
    assert late / len(run.places) < 0.05
    if level <= 0.6 and spread == 0.1:
        assert np.mean(run.places) > 1.9


def test_a_size_that_turns_out_dearer_than_it_promised_is_tried_less_and_less() -> None:
    # the smaller size promises that the larger would fit, and it never does
    run = simulate(lambda _: 1.0, 1200, costs=(0.5, 1.0), true_costs=(0.35, 1.2))
    ups = [moment for moment, before, after in run.switches if after > before]
    gaps = np.diff(ups)
    assert len(ups) >= 10  # it goes on trying
    assert gaps[0] < 10 and (gaps[-5:] >= LONGEST_WAIT_S).all()
    assert len([moment for moment in ups if moment <= 60]) <= 5


def loads() -> st.SearchStrategy[list[tuple[float, float]]]:
    """Pieces of (seconds, load)."""
    piece = st.tuples(st.floats(0.2, 30), st.floats(0.05, 8))
    return st.lists(piece, min_size=1, max_size=12)


def as_function(pieces: list[tuple[float, float]]) -> Callable[[float], float]:
    ends = np.cumsum([seconds for seconds, _ in pieces])

    def load(now: float) -> float:
        return pieces[min(int(np.searchsorted(ends, now, side="right")), len(pieces) - 1)][1]

    return load


@settings(max_examples=40, deadline=None)
@given(loads())
def test_no_load_whatever_makes_it_change_often(pieces: list[tuple[float, float]]) -> None:
    run = simulate(as_function(pieces), min(180.0, sum(seconds for seconds, _ in pieces)))
    ups = [moment for moment, before, after in run.switches if after > before]
    downs = [moment for moment, before, after in run.switches if after < before]
    # going up waits 2 s × 2^(downs so far), so that a minute has room for 2 + 4 + 8 + 16 + 32 seconds of waiting, twice
    # over for the two steps up to the top
    for start in [0.0, *downs, *ups]:
        assert sum(start <= moment <= start + 60 for moment in ups) <= 10
        assert sum(start <= moment <= start + 60 for moment in downs) <= 12
    for before, after in zip(run.switches, run.switches[1:], strict=False):
        if after[2] > after[1]:
            assert after[0] - before[0] >= FIRST_WAIT_S


@settings(max_examples=20, deadline=None)
@given(loads(), st.floats(0.05, 8))
def test_once_the_load_is_constant_it_settles_at_the_right_size(
    pieces: list[tuple[float, float]], final: float
) -> None:
    before = sum(seconds for seconds, _ in pieces)
    run = simulate(as_function([*pieces, (10_000.0, final)]), before + 3 * LONGEST_WAIT_S)
    settled = run.place_at(before + 2.5 * LONGEST_WAIT_S)
    assert not run.between(before + 2.5 * LONGEST_WAIT_S, 1e9)
    fits = [place for place, cost in enumerate(COSTS) if cost * final <= DOWN]
    assert settled <= max(fits, default=0)
    # a size is not left unused where it would take four fifths of the period or less
    roomy = [place for place, cost in enumerate(COSTS) if cost * final <= 0.79]
    assert settled >= max(roomy, default=0)


def test_the_first_time_at_a_size_is_left_out() -> None:
    controller = AdaptiveSize(COSTS, PERIOD)
    controller.observe(10.0, 0.0)
    for index in range(1, DOWN_SAMPLES):
        assert controller.observe(2 * PERIOD, index * 0.1) == 2
    assert controller.observe(2 * PERIOD, 1.0) == 0  # 2 × 0.5 periods would leave no room


def test_a_single_size_is_kept() -> None:
    controller = AdaptiveSize([1.0], PERIOD)
    assert {controller.observe(9 * PERIOD, index * 0.1) for index in range(50)} == {0}


@pytest.mark.parametrize("costs", [(), (0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, float("nan"))])
def test_costs_that_do_not_rise_are_refused(costs: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="must rise, from above 0"):
        AdaptiveSize(costs, PERIOD)


def test_a_period_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="period_s must be above 0 seconds, got 0"):
        AdaptiveSize(COSTS, 0)
