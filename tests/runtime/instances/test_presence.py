from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.instances.places import feet
from edgeseg_runtime.instances.presence import SETTLE_SECONDS, UNSEEN_SECONDS, Move, ZonePresence
from edgeseg_runtime.zones.polygon import Zone
from tests.runtime.instances.scripted import CAR, PERSON, at, scripted

LEFT = Zone("left", ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
BOTTOM = Zone("bottom", ((0, 0.5), (1, 0.5), (1, 1), (0, 1)))
PERIOD = 0.1


def walked(presence: ZonePresence, path: Sequence[tuple[float, float] | None], start: float = 0.0) -> list[Move]:
    moves = []
    for index, place in enumerate(path):
        result = scripted([], ids=()) if place is None else scripted([at(*place, label=PERSON)], ids=(1,))
        moves += presence.update(result, start + index * PERIOD, {1})
    return moves


@pytest.fixture
def presence() -> ZonePresence:
    presence = ZonePresence()
    assert presence.watch([LEFT, BOTTOM]) == []
    return presence


def test_an_object_enters_when_it_has_stayed_and_leaves_when_it_is_gone(presence: ZonePresence) -> None:
    moves = walked(presence, [(100, 30)] * 5 + [(40, 30)] * 10 + [(100, 30)] * 5)
    assert [(move.zone, move.id, move.name, move.entered, move.reason) for move in moves] == [
        ("left", 1, "person", True, None),
        ("left", 1, "person", False, None),
    ]
    assert moves[1].seconds == pytest.approx(10 * PERIOD)
    left, bottom = presence.counts
    assert left.as_dict() == {"inside": {}, "entered": {"person": 1}}
    assert bottom.as_dict() == {"inside": {}, "entered": {}}


def test_zones_may_overlap(presence: ZonePresence) -> None:
    moves = walked(presence, [(40, 100)] * 6)
    assert {(move.zone, move.entered) for move in moves} == {("left", True), ("bottom", True)}
    assert [dict(count.inside) for count in presence.counts] == [{"person": 1}, {"person": 1}]


def test_who_trembles_at_a_border_neither_comes_nor_goes(presence: ZonePresence) -> None:
    trembling: list[tuple[float, float] | None] = [(80 + 2 * (-1) ** step, 30) for step in range(20)]
    assert walked(presence, trembling) == []
    assert len(walked(presence, [(40, 30)] * 6, 10)) == 1
    assert walked(presence, trembling, 20) == []
    # the control: slower than the time to settle it would
    moves = []
    for step in range(8):
        result = scripted([at(80 + 2 * (-1) ** (step // 4), 30)], ids=(1,))
        moves += presence.update(result, 30 + step * SETTLE_SECONDS, {1})
    assert moves


def test_a_frame_in_which_it_is_missed_changes_nothing(presence: ZonePresence) -> None:
    assert len(walked(presence, [(40, 30), None, (40, 30), None, (40, 30), (40, 30)])) == 1
    assert walked(presence, [None] * 10, 1.0) == []


def test_a_lost_object_leaves_with_the_reason(presence: ZonePresence) -> None:
    walked(presence, [(40, 30)] * 5)
    (move,) = presence.update(scripted([], ids=()), 2.0, set())
    assert (move.entered, move.reason) == (False, "lost")
    assert move.seconds == pytest.approx(4 * PERIOD)  # as long as it was seen
    assert presence.counts[0].as_dict() == {"inside": {}, "entered": {"person": 1}}
    # the control: one that had not entered yet leaves nothing
    walked(presence, [(40, 30)], 3.0)
    assert presence.update(scripted([], ids=()), 4.0, set()) == []


def test_who_is_not_seen_for_long_is_not_counted_but_has_not_left_before_it_is_given_up(presence: ZonePresence) -> None:
    walked(presence, [(40, 30)] * 5)
    unseen = scripted([], ids=())
    assert presence.update(unseen, 0.4 + UNSEEN_SECONDS - 0.01, {1}) == []
    assert dict(presence.counts[0].inside) == {"person": 1}
    assert presence.update(unseen, 0.4 + UNSEEN_SECONDS + 0.01, {1}) == []
    assert dict(presence.counts[0].inside) == {}
    assert walked(presence, [(40, 30)], 1.5) == []  # it is back, and has never been away
    assert presence.counts[0].as_dict() == {"inside": {"person": 1}, "entered": {"person": 1}}


def test_redrawn_zones_end_what_was_in_them_and_others_go_on(presence: ZonePresence) -> None:
    walked(presence, [(40, 100)] * 6)
    smaller = Zone("left", ((0, 0), (0.4, 0), (0.4, 1), (0, 1)))
    (move,) = presence.watch([smaller, BOTTOM])
    assert (move.zone, move.entered, move.reason) == ("left", False, "redrawn")
    assert [count.as_dict() for count in presence.counts] == [
        {"inside": {}, "entered": {}},
        {"inside": {"person": 1}, "entered": {"person": 1}},
    ]
    assert {move.reason for move in presence.watch([])} == {"redrawn"}
    assert presence.counts == ()


def test_at_the_end_whoever_is_inside_leaves(presence: ZonePresence) -> None:
    walked(presence, [(40, 30)] * 5)
    (move,) = presence.reset("ended")
    assert (move.zone, move.reason) == ("left", "ended")
    assert presence.reset("ended") == []


def test_objects_of_several_classes_are_counted_apart(presence: ZonePresence) -> None:
    for index in range(5):
        result = scripted([at(40, 30, label=CAR), at(20, 30, label=CAR), at(60, 30, label=PERSON)], ids=(1, 2, 3))
        presence.update(result, index * PERIOD, {1, 2, 3})
    assert dict(presence.counts[0].inside) == {"car": 2, "person": 1}


def test_what_the_lower_border_cuts_off_stands_in_the_zone_at_it(presence: ZonePresence) -> None:
    moves = walked(presence, [(120, 120)] * 6)
    assert [(move.zone, move.entered) for move in moves] == [("bottom", True)]
    np.testing.assert_allclose(feet(scripted([at(120, 120)])), [[0.75, 1]], atol=1e-5)


POLYGONS = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=3, max_size=8, unique=True
)


@given(POLYGONS, st.integers(0, 2**32))
@settings(deadline=None)
def test_a_zone_holds_the_places_whose_pixels_are_inside(points: list[tuple[float, float]], seed: int) -> None:
    zone = Zone("any", tuple(points))
    inside = zone.inside(40, 50)
    rows, columns = np.random.default_rng(seed).integers(0, (40, 50), (60, 2)).T
    places = np.stack([(columns + 0.5) / 50, (rows + 0.5) / 40], axis=1)
    held = zone.holds(places)
    # a side may pass through a pixel's centre, where the two round differently
    unsure = np.array([near_a_side(zone, x, y) for x, y in places])
    np.testing.assert_array_equal(held[~unsure], inside[rows, columns][~unsure])


def near_a_side(zone: Zone, x: float, y: float) -> bool:
    for (x0, y0), (x1, y1) in zip(zone.points, (*zone.points[1:], zone.points[0]), strict=True):
        if abs(y - y0) < 1e-6 or abs(y - y1) < 1e-6:
            return True
        if (y0 <= y) != (y1 <= y) and abs(x0 + (y - y0) / (y1 - y0) * (x1 - x0) - x) < 1e-6:
            return True
    return False
