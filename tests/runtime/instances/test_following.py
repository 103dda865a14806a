from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.instances.counting import ObjectCounter
from edgeseg_runtime.instances.following import Follower, Following
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.result import SemanticResult
from edgeseg_runtime.zones.polygon import Zone
from tests.runtime.instances.scripted import CONTRACT, PERSON, TIMES, Thing, at, scripted

PERIOD = 0.1
DOOR = CountLine("door", (0, 0.5), (1, 0.5))
LOWER = Zone("lower", ((0, 0.6), (1, 0.6), (1, 1), (0, 1)))


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def events(told: list[Event]) -> Events:
    events = Events()
    events.subscribe(told.append)
    return events


def follow(follower: Follower, frames: list[list[Thing]], start: float = 0.0) -> list[InstanceResult]:
    results = [follower(scripted(frame), start + index * PERIOD) for index, frame in enumerate(frames)]
    assert all(isinstance(result, InstanceResult) for result in results)
    return results  # type: ignore[return-value]


def test_ids_counts_and_events_come_of_one_walk(events: Events, told: list[Event]) -> None:
    follower = Follower("yard", events, Following(lines=(DOOR,), zones=lambda camera: {"yard": (LOWER,)}[camera]))
    results = follow(follower, [[at(80, 30 + 5 * step, label=PERSON)] for step in range(18)])
    assert [result.ids for result in results] == [(0,)] + 17 * [(1,)]
    counts = results[-1].counts
    assert counts is not None and counts is follower.counts
    assert counts.as_dict() == {
        "objects": {"person": 1},
        "lines": {"door": {"in": {"person": 1}, "out": {}}},
        "zones": {"lower": {"inside": {"person": 1}, "entered": {"person": 1}}},
    }
    assert [(event.kind, event.source) for event in told] == [("line.crossed", "yard"), ("object.entered", "yard")]
    assert told[0].data == {"line": "door", "direction": "in", "id": 1, "class": "person"}
    assert told[1].data == {"zone": "lower", "id": 1, "class": "person"}
    follower.close()
    assert told[2].kind == "object.left"
    assert told[2].data["reason"] == "ended"
    follower.close()
    assert len(told) == 3


def test_earlier_results_keep_the_counts_of_their_time(events: Events) -> None:
    follower = Follower("", events, Following(lines=(DOOR,)))
    results = follow(follower, [[at(80, y)] for y in (30, 40, 50, 70, 80)])
    crossed = [result.counts.lines[0].into for result in results if result.counts is not None]
    assert crossed == [{}, {}, {}, {"car": 1}, {"car": 1}]


def test_unsure_objects_that_continue_nothing_are_left_out(events: Events) -> None:
    follower = Follower("", events, Following())
    walker, ghost = at(50, 80), at(120, 60, score=0.2)
    results = follow(follower, [[walker, ghost], [walker, ghost], [replace(walker, score=0.3), ghost]])
    assert [result.scores.tolist() for result in results] == [
        [pytest.approx(0.9)],
        [pytest.approx(0.9)],
        [pytest.approx(0.3)],
    ]
    assert [result.ids for result in results] == [(0,), (1,), (1,)]
    # what is left has its own box, patch and pixels
    last = results[-1]
    np.testing.assert_array_equal(last.boxes, [walker.box])
    assert len(last.patches) == len(last.regions) == 1
    assert (last.mask != 255).sum() == last.regions[0].area == 12 * 20


def test_masks_are_pasted_once(events: Events) -> None:
    result = scripted([at(50, 80), at(90, 80, score=0.1)])
    regions = result.regions
    known = Follower("", events, Following())(result, 0.0)
    assert isinstance(known, InstanceResult)
    assert known.regions[0] is regions[0]


def test_what_has_no_objects_passes_as_it_is(events: Events) -> None:
    semantic = SemanticResult(
        np.zeros((4, 4), np.uint8), replace(CONTRACT, task="semantic", output="scores", selection=None), TIMES
    )
    assert Follower("", events, Following())(semantic, 0.0) is semantic


def test_after_a_silence_nobody_is_known_any_more(events: Events, told: list[Event]) -> None:
    follower = Follower("", events, Following(zones=lambda _: (LOWER,)))
    follow(follower, [[at(80, 110)]] * 6)
    follower.idle(1.0)
    assert [event.kind for event in told] == ["object.entered"]
    follower.idle(3.0)
    assert [event.data.get("reason") for event in told] == [None, "stale"]
    assert follower.counts.as_dict()["zones"]["lower"] == {"inside": {}, "entered": {"car": 1}}
    assert follow(follower, [[at(80, 110)]] * 6, 10)[-1].ids == (2,)
    assert follower.counts.as_dict()["zones"]["lower"] == {"inside": {"car": 1}, "entered": {"car": 2}}


def test_zones_that_are_drawn_while_it_runs_count_from_then_on(events: Events, told: list[Event]) -> None:
    zones: list[Zone] = []
    follower = Follower("", events, Following(zones=lambda _: tuple(zones)))
    follow(follower, [[at(80, 110)]] * 6)
    assert told == []
    zones.append(LOWER)
    follow(follower, [[at(80, 110)]] * 6, 1)
    assert [event.kind for event in told] == ["object.entered"]


def test_lines_of_one_name_are_refused(events: Events) -> None:
    with pytest.raises(ConfigError, match="two lines are named 'door'"):
        ObjectCounter("", events, [DOOR, DOOR])


def test_before_the_first_frame_nothing_was_counted(events: Events) -> None:
    counts = ObjectCounter("", events, [DOOR]).counts
    assert counts.as_dict() == {"objects": {}, "lines": {"door": {"in": {}, "out": {}}}, "zones": {}}
