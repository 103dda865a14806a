from __future__ import annotations

import time

import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.zones import Zone, ZoneRule, ZoneSink

LEFT = Zone("left", ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
RIGHT = Zone("right", ((0.5, 0), (1, 0), (1, 1), (0.5, 1)))


def shot(
    contract: Contract,
    left: int,
    at: float,
    *,
    camera: str = "door",
    fresh: bool = True,
    masked_at: float | None = None,
) -> Shot:
    """Class `left` in the left half, class 0 in the right one."""
    mask = np.zeros((6, 8), np.uint8)
    mask[:, :4] = left
    frame = Frame(0, np.zeros((6, 8, 3), np.uint8), at, None, "0", camera)
    result = SemanticResult(mask, contract, StageTimes(0, 0, 0))
    return Shot(frame, result, color_table(contract), 0.5, masked_at=masked_at, fresh=fresh)


def put(sink: ZoneSink, one: Shot) -> None:
    sink.encode(one)
    sink.write(one, None)


def watch(**settings: float) -> tuple[ZoneSink, list[Event]]:
    events, seen = Events(), list[Event]()
    events.subscribe(seen.append)
    rule = ZoneRule(enter=0.5, leave=0.25, seconds=0.0)
    return ZoneSink({"door": (LEFT, RIGHT)}, events, rule, **settings), seen


def told(seen: list[Event]) -> list[tuple[str, str, str, str]]:
    return [(event.kind, event.source, event.data["zone"], event.data["class"]) for event in seen]


def test_each_new_mask_is_measured_and_told(colour_contract: Contract) -> None:
    sink, seen = watch()
    now = time.monotonic()
    put(sink, shot(colour_contract, 2, now))
    reading = sink.latest()["door"]
    assert reading.masked_at == now
    assert reading.shares["left"] == {"red": 0.0, "green": 0.0, "blue": 1.0}
    assert reading.shares["right"] == {"red": 1.0, "green": 0.0, "blue": 0.0}
    put(sink, shot(colour_contract, 1, now + 0.01))
    assert told(seen) == [
        ("zone.enter", "door", "left", "blue"),
        ("zone.enter", "door", "right", "red"),
        ("zone.enter", "door", "left", "green"),
        ("zone.leave", "door", "left", "blue"),
    ]
    sink.close()
    assert sorted(told(seen)[4:]) == [("zone.leave", "door", "left", "green"), ("zone.leave", "door", "right", "red")]


def test_a_mask_shown_again_is_no_new_evidence(colour_contract: Contract) -> None:
    sink, seen = watch()
    now = time.monotonic()
    put(sink, shot(colour_contract, 2, now))
    for later in range(1, 5):  # as if warped: another mask, the same capture
        put(sink, shot(colour_contract, 1, now + later / 100, fresh=False, masked_at=now))
    assert sink.latest()["door"].shares["left"]["blue"] == 1.0
    assert len(seen) == 2


def test_stale_masks_are_no_figures_and_let_go(colour_contract: Contract) -> None:
    sink, seen = watch(max_age=5.0)
    now = time.monotonic()
    put(sink, shot(colour_contract, 2, now - 4.9))
    assert set(sink.latest()) == {"door"}
    deadline = time.monotonic() + 20
    while sink.latest():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sink.idle()
    assert told(seen)[2:] == [("zone.leave", "door", "left", "blue"), ("zone.leave", "door", "right", "red")]
    assert all(event.data["reason"] == "stale" for event in seen[2:])
    put(sink, shot(colour_contract, 2, time.monotonic() - 6))  # comes too late to say anything
    put(sink, shot(colour_contract, 255, time.monotonic(), fresh=False))  # no mask at all
    assert sink.latest() == {} and len(seen) == 4


def test_one_camera_keeps_going_stale_while_another_gives_frames(colour_contract: Contract) -> None:
    sink, seen = watch(max_age=5.0)
    sink.set_zones("yard", (LEFT,))
    put(sink, shot(colour_contract, 2, time.monotonic() - 4.9))
    deadline = time.monotonic() + 20
    while len(seen) < 5:  # two enter at the door, one in the yard, the two at the door leave
        assert time.monotonic() < deadline
        put(sink, shot(colour_contract, 1, time.monotonic(), camera="yard"))
        time.sleep(0.01)
    assert [(event.kind, event.source) for event in seen] == [
        ("zone.enter", "door"),
        ("zone.enter", "door"),
        ("zone.enter", "yard"),
        ("zone.leave", "door"),
        ("zone.leave", "door"),
    ]
    assert set(sink.latest()) == {"yard"}


def test_zones_can_be_redrawn_while_it_runs(colour_contract: Contract) -> None:
    sink, seen = watch()
    now = time.monotonic()
    put(sink, shot(colour_contract, 2, now))
    with pytest.raises(ConfigError, match="two zones named 'left'"):
        sink.set_zones("door", (LEFT, LEFT))
    assert sink.zones() == {"door": (LEFT, RIGHT)} and len(seen) == 2
    sink.set_zones("door", (RIGHT,))
    assert [event.kind for event in seen[2:]] == ["zone.leave", "zone.leave"]
    assert sink.latest() == {}
    put(sink, shot(colour_contract, 2, now))  # the same mask is new to the new zones
    assert set(sink.latest()["door"].shares) == {"right"}
    sink.set_zones("door", ())
    put(sink, shot(colour_contract, 2, time.monotonic()))
    assert sink.latest() == {} and sink.zones() == {"door": ()}


def test_cameras_without_zones_are_nothing_to_it(colour_contract: Contract) -> None:
    sink, seen = watch()
    put(sink, shot(colour_contract, 2, time.monotonic(), camera="roof"))
    assert sink.latest() == {} and seen == []


def test_a_listener_may_ask_for_the_zones(colour_contract: Contract) -> None:
    events = Events()
    sink = ZoneSink({"door": (LEFT,)}, events, ZoneRule(seconds=0))
    asked: list[object] = []
    events.subscribe(lambda _event: asked.append(sink.zones()))
    put(sink, shot(colour_contract, 2, time.monotonic()))
    assert asked == [{"door": (LEFT,)}]


def test_an_age_that_cannot_work_is_named() -> None:
    with pytest.raises(ConfigError, match="above 0 s, got 0"):
        ZoneSink({}, Events(), max_age=0)
