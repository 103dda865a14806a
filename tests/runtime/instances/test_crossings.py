from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.instances.crossings import LineCounter
from edgeseg_runtime.instances.lines import CountLine
from tests.runtime.instances.scripted import CAR, PERSON, Thing, at, scripted

ACROSS = CountLine("door", (0.25, 0.5), (0.75, 0.5))
"""From (40, 60) to (120, 60) in a picture of 160×120: what goes down goes in."""


def crossings(line: CountLine, path: Sequence[tuple[float, float]], **thing: object) -> list[str]:
    counter = LineCounter(line)
    return [one.direction for x, y in path for one in counter.update(scripted([at(x, y, **thing)], ids=(7,)), {7})]  # type: ignore[arg-type]


def test_down_is_in_and_up_is_out_over_a_line_from_left_to_right() -> None:
    assert crossings(ACROSS, [(80, 40), (80, 50), (80, 70), (80, 80)]) == ["in"]
    assert crossings(ACROSS, [(80, 80), (80, 40)]) == ["out"]
    turned = CountLine("door", ACROSS.end, ACROSS.start)
    assert crossings(turned, [(80, 40), (80, 80)]) == ["out"]


def test_an_upright_line_has_its_left_hand_where_it_says() -> None:
    upward = CountLine("gate", (0.5, 0.9), (0.5, 0.1))  # looking up the picture, the left hand is on the left
    assert crossings(upward, [(60, 60), (100, 60)]) == ["in"]
    assert crossings(upward, [(100, 60), (60, 60)]) == ["out"]


def test_each_crossing_counts_once_and_coming_back_counts_again() -> None:
    path = [(80, 40), (80, 80), (80, 90), (80, 80), (80, 40), (80, 80)]
    assert crossings(ACROSS, path) == ["in", "out", "in"]


def test_who_trembles_on_the_line_is_not_counted_until_it_leaves_it() -> None:
    trembling = [(80.0, 60 + 0.9 * (-1) ** step) for step in range(20)]  # an object of 20 px may tremble by 1
    assert crossings(ACROSS, [(80, 40), *trembling, (80, 40)]) == []
    assert crossings(ACROSS, [(80, 40), *trembling, (80, 70)]) == ["in"]
    # the control: a tall object's margin is wider, a flat one's narrower
    assert crossings(ACROSS, [(80, 40), *trembling], height=4) != []


def test_who_walks_past_its_end_does_not_cross_it() -> None:
    assert crossings(ACROSS, [(20, 40), (20, 80)]) == []
    around = [(80, 40), (130, 50), (130, 70), (80, 70), (80, 80)]
    assert crossings(ACROSS, around) == []
    # the control: straight from the first to the last place it would have
    assert crossings(ACROSS, [around[0], around[-1]]) == ["in"]


def test_a_step_that_only_touches_the_end_counts() -> None:
    assert crossings(ACROSS, [(40, 50), (40, 70)]) == ["in"]


def test_objects_are_told_apart_by_id_and_counted_by_class() -> None:
    counter = LineCounter(ACROSS)
    above = [at(60, 40, label=CAR), at(100, 80, label=PERSON), at(90, 40, label=CAR)]
    below = [at(60, 80, label=CAR), at(100, 40, label=PERSON), at(90, 40, label=CAR)]
    assert counter.update(scripted(above, ids=(1, 2, 3)), {1, 2, 3}) == []
    found = counter.update(scripted(below, ids=(1, 2, 3)), {1, 2, 3})
    assert [(one.line, one.direction, one.id, one.label) for one in found] == [
        ("door", "in", 1, CAR),
        ("door", "out", 2, PERSON),
    ]
    assert counter.count.as_dict() == {"in": {"car": 1}, "out": {"person": 1}}


def test_an_object_without_an_id_is_nobody() -> None:
    counter = LineCounter(ACROSS)
    assert [counter.update(scripted([at(80, y)], ids=(0,)), set()) for y in (40, 80)] == [[], []]


def test_an_object_missed_on_the_line_has_crossed_it_when_it_is_seen_again() -> None:
    counter = LineCounter(ACROSS)
    counter.update(scripted([at(80, 40)], ids=(1,)), {1})
    counter.update(scripted([], ids=()), {1})
    assert [one.direction for one in counter.update(scripted([at(80, 80)], ids=(1,)), {1})] == ["in"]
    # the control: an id that may not come again is forgotten
    counter.update(scripted([], ids=()), set())
    assert counter.update(scripted([at(80, 40)], ids=(1,)), {1}) == []


def test_a_camera_of_another_size_sees_the_same_line() -> None:
    counter = LineCounter(ACROSS)
    counter.update(scripted([at(80, 40)], ids=(1,)), {1})
    large = scripted([at(320, 320, 48, 80)], 480, 640, ids=(1,))
    assert [one.direction for one in counter.update(large, {1})] == ["in"]


@given(st.lists(st.tuples(st.floats(45, 115), st.floats(5, 115)), min_size=2, max_size=30))
@settings(deadline=None)
def test_in_and_out_take_turns_and_tell_the_side_at_last(path: list[tuple[float, float]]) -> None:
    found = crossings(ACROSS, path)
    assert all(one != other for one, other in pairwise(found))
    ended = [path[0], *[place for place in path if abs(place[1] - 60) > 1.01]]
    if (ended[0][1] < 60) != (ended[-1][1] < 60):
        assert len(found) % 2 == 1 and found[-1] == ("in" if ended[-1][1] > 60 else "out")
    else:
        assert len(found) % 2 == 0


def test_a_thing_stands_where_its_box_ends() -> None:
    assert at(80, 60, 12, 20) == Thing((74, 40, 86, 60))
