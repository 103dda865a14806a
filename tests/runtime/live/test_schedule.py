"""The scheduler in simulated time: cameras with rates, a model with a speed, no threads."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeseg_runtime.live.schedule import Scheduler
from edgeseg_runtime.live.track import Track

if TYPE_CHECKING:
    from tests.runtime.live.conftest import FakeCamera


@dataclass
class Served:
    camera: str
    captured_at: float
    started_at: float
    done_at: float


def simulate(tracks: list[Track], periods: list[float], inference: float, seconds: float) -> list[Served]:
    """Let every camera give frames at its period (0: never) while a model takes one frame each `inference` s."""
    scheduler, served = Scheduler(tracks), list[Served]()
    arrivals = [(period * (0.3 + 0.1 * place), place) for place, period in enumerate(periods) if period]
    heapq.heapify(arrivals)
    now = 0.0
    while now < seconds:
        while arrivals and arrivals[0][0] <= now:
            at, place = heapq.heappop(arrivals)
            tracks[place].camera.give(at)  # type: ignore[attr-defined]
            tracks[place].tick(at)
            heapq.heappush(arrivals, (at + periods[place], place))
        taken = scheduler.next(0)
        if taken is None:
            now = arrivals[0][0] if arrivals else seconds
            continue
        track, frame = taken
        started, now = now, now + inference
        track.served(now)
        track.shown(frame, frame.captured_at, True, now)
        served.append(Served(track.camera.name, frame.captured_at, started, now))
    return served


def test_a_dead_camera_costs_the_others_nothing(make_camera: type[FakeCamera]) -> None:
    """Four cameras of 30 fps and a model that is just fast enough for three: one is dead, the others lose no frame."""
    tracks = [Track(make_camera(name)) for name in "abcd"]
    simulate(tracks, [1 / 30, 1 / 30, 0, 1 / 30], inference=1 / 95, seconds=60)
    for track in (tracks[0], tracks[1], tracks[3]):
        account = track.ledger.account()
        assert account.captured > 1700
        assert account.dropped.get("overtaken", 0) <= 0.01 * account.captured
    assert tracks[2].ledger.account().captured == 0

    # the same three with a fourth alive: now there is not enough for all, and all lose alike
    tracks = [Track(make_camera(name)) for name in "abcd"]
    simulate(tracks, [1 / 30] * 4, inference=1 / 95, seconds=60)
    shares = [track.ledger.account().inferred / track.ledger.account().captured for track in tracks]
    assert max(shares) - min(shares) < 0.05 and max(shares) < 0.9


@pytest.mark.parametrize("slower", [1.5, 3, 10, 30])
def test_the_mask_is_never_older_than_one_inference_and_one_frame(make_camera: type[FakeCamera], slower: float) -> None:
    period = 1 / 30
    served = simulate([Track(make_camera())], [period], inference=slower * period, seconds=120)
    ages = [one.done_at - one.captured_at for one in served]
    assert max(ages) <= slower * period + 1.2 * period
    half = len(ages) // 2
    assert abs(max(ages[half:]) - max(ages[:half])) <= 1.01 * period  # no trend: at most the phase slips


def test_a_queue_in_place_of_the_newest_frame_would_fall_behind() -> None:
    """The negative control: with frames queued in order, the same load makes masks older and older."""
    period, inference = 1 / 30, 3 / 30
    now, ages = 0.0, list[float]()
    for index in range(600):
        captured_at = index * period
        now = max(now, captured_at) + inference
        ages.append(now - captured_at)
    assert ages[-1] > 30 and ages[-1] > inference + 1.2 * period


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rates=st.lists(st.sampled_from([1, 5, 10, 15, 25, 30, 60]), min_size=1, max_size=6),
    load=st.floats(0.3, 4),
)
def test_no_camera_is_starved_whatever_the_rates(make_camera: type[FakeCamera], rates: list[int], load: float) -> None:
    tracks = [Track(make_camera(str(place))) for place in range(len(rates))]
    served = simulate(tracks, [1 / rate for rate in rates], inference=load / sum(rates), seconds=40)
    for track, rate in zip(tracks, rates, strict=True):
        account = track.ledger.account()
        assert account.in_flight == 0
        assert account.captured == account.inferred + account.dropped.get("overtaken", 0)
        # each gets at least half of an equal share of what the model can do, or of what it asks for
        fair = min(rate, sum(rates) / load / len(rates))
        assert sum(one.camera == track.camera.name for one in served) >= 0.5 * fair * 40 - 2
