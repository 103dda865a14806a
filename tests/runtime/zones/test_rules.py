from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.zones import ZoneEvents, ZoneRule

RULE = ZoneRule(enter=0.2, leave=0.1, seconds=1.0)


def watch(rule: ZoneRule = RULE) -> tuple[ZoneEvents, list[Event]]:
    events, seen = Events(), list[Event]()
    events.subscribe(seen.append)
    return ZoneEvents(events, "door", rule), seen


def feed(zone: ZoneEvents, shares: list[float], *, step: float = 0.5, start: float = 100.0) -> None:
    for number, share in enumerate(shares):
        zone.update({"gate": {"person": share}}, start + number * step)


def kinds(seen: list[Event]) -> list[str]:
    return [event.kind for event in seen]


def test_enter_and_leave_are_told_once_with_what_they_are_about() -> None:
    zone, seen = watch()
    feed(zone, [0.0, 0.3, 0.3, 0.4, 0.5, 0.3, 0.05, 0.04, 0.03, 0.0, 0.0])
    assert [event.as_dict() | {"at": 0} for event in seen] == [
        {"kind": "zone.enter", "source": "door", "at": 0, "zone": "gate", "class": "person", "share": 0.4},
        {"kind": "zone.leave", "source": "door", "at": 0, "zone": "gate", "class": "person", "share": 0.03},
    ]


def test_a_class_at_the_threshold_does_not_come_and_go() -> None:
    flicker = [0.3] * 3 + [0.19, 0.21, 0.15, 0.22, 0.11, 0.25] * 5
    zone, seen = watch()
    feed(zone, flicker)
    assert kinds(seen) == ["zone.enter"]
    # with one threshold and no minimum time the same shares make a stream of events
    naive, noise = watch(ZoneRule(enter=0.2, leave=0.2, seconds=0))
    feed(naive, flicker)
    assert len(noise) > 20


def test_what_only_passes_by_is_not_told() -> None:
    zone, seen = watch()
    feed(zone, [0.5, 0.5, 0.0, 0.5, 0.5, 0.0])
    assert seen == []
    hasty, noise = watch(ZoneRule(enter=0.2, leave=0.1, seconds=0))
    feed(hasty, [0.5, 0.5, 0.0, 0.5, 0.5, 0.0])
    assert kinds(noise) == ["zone.enter", "zone.leave"] * 2


def test_a_gap_without_masks_begins_anew_and_lets_go_of_what_was_inside() -> None:
    zone, seen = watch()
    feed(zone, [0.5, 0.5])
    zone.reset()
    feed(zone, [0.5, 0.5], start=500.0)
    assert seen == []  # two glimpses, and not 400 seconds in the zone
    zone.update({"gate": {"person": 0.5}}, 501.0)
    assert kinds(seen) == ["zone.enter"] and list(zone.inside) == [("gate", "person")]
    zone.reset()
    zone.reset()
    assert kinds(seen) == ["zone.enter", "zone.leave"]
    assert dict(seen[1].data) == {"zone": "gate", "class": "person", "reason": "stale"}


def test_without_a_reset_old_evidence_would_count() -> None:
    zone, seen = watch()
    feed(zone, [0.5, 0.5])
    feed(zone, [0.5], start=500.0)
    assert kinds(seen) == ["zone.enter"]


def test_zones_and_classes_are_told_apart_and_chosen() -> None:
    zone, seen = watch(ZoneRule(enter=0.2, leave=0.1, seconds=0, classes=("person", "car")))
    zone.update(
        {"gate": {"person": 0.5, "tree": 0.5, "car": 0.0}, "yard": {"person": 0.0, "car": 0.9}, "speck": {}}, 1.0
    )
    assert [(event.data["zone"], event.data["class"]) for event in seen] == [("gate", "person"), ("yard", "car")]


def test_a_class_that_the_next_model_does_not_know_leaves() -> None:
    zone, seen = watch(ZoneRule(seconds=0))
    zone.update({"gate": {"person": 0.5}}, 1.0)
    zone.update({"gate": {"human": 0.5}}, 2.0)
    assert [(event.kind, event.data["class"], event.data.get("reason")) for event in seen] == [
        ("zone.enter", "person", None),
        ("zone.leave", "person", "stale"),
        ("zone.enter", "human", None),
    ]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=60), st.floats(0, 2))
def test_enter_and_leave_take_turns_and_hold_their_thresholds(shares: list[float | None], seconds: float) -> None:
    """Against the rule written down once more: the last `seconds` of masks all say so."""
    zone, seen = watch(ZoneRule(enter=0.5, leave=0.25, seconds=seconds))
    inside, run = False, list[float]()
    for number, share in enumerate(shares):
        at = number * 0.25
        before = len(seen)
        if share is None:
            zone.reset()
            assert kinds(seen[before:]) == (["zone.leave"] if inside else [])
            inside, run = False, []
            continue
        zone.update({"gate": {"person": share}}, at)
        run = [*run, at] if (share < 0.25 if inside else share >= 0.5) else []
        turned = bool(run) and at - run[0] >= seconds
        assert kinds(seen[before:]) == ([] if not turned else ["zone.leave"] if inside else ["zone.enter"])
        if turned:
            inside, run = not inside, []
    zone.reset()
    assert all(first != second for first, second in pairwise(kinds(seen)))
    assert kinds(seen).count("zone.enter") == kinds(seen).count("zone.leave")


@pytest.mark.parametrize(
    ("enter", "leave", "seconds"), [(0.1, 0.2, 1), (0, 0, 1), (1.1, 0.5, 1), (0.5, 0.2, -1), (0.5, float("nan"), 1)]
)
def test_rules_that_cannot_work_are_named(enter: float, leave: float, seconds: float) -> None:
    with pytest.raises(ConfigError, match="zone"):
        ZoneRule(enter, leave, seconds)
