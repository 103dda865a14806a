from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.web import inputs
from edgeseg_runtime.web.refusals import Refused

SQUARE = {"name": "door", "camera": "front", "points": [[0, 0], [1, 0], [1, 1.0], [0, 1]]}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_good_zones_come_through_as_they_are() -> None:
    other = {**SQUARE, "camera": "", "points": [[0.5, 0.25], [0.75, 0.25], [0.5, 1]]}
    assert inputs.zones([SQUARE, other]) == [SQUARE, other]
    assert inputs.zones([]) == []


@pytest.mark.parametrize(
    "zones",
    [
        None,
        {},
        [SQUARE] * 65,
        [SQUARE, SQUARE],
        [{**SQUARE, "more": 1}],
        [{"name": "a", "camera": "b"}],
        [{**SQUARE, "name": ""}],
        [{**SQUARE, "name": " a"}],
        [{**SQUARE, "name": "a\nb"}],
        [{**SQUARE, "name": "x" * 65}],
        [{**SQUARE, "name": 5}],
        [{**SQUARE, "camera": None}],
        [{**SQUARE, "points": [[0, 0], [1, 1]]}],
        [{**SQUARE, "points": [[0, 0]] * 65}],
        [{**SQUARE, "points": [[0, 0], [1, 1], [0, 1.01]]}],
        [{**SQUARE, "points": [[0, 0], [1, 1], [-0.01, 0]]}],
        [{**SQUARE, "points": [[0, 0], [1, 1], [float("nan"), 0]]}],
        [{**SQUARE, "points": [[0, 0], [1, 1], [True, 0]]}],
        [{**SQUARE, "points": [[0, 0], [1, 1], [0]]}],
        [{**SQUARE, "points": [[0, 0], [1, 1], "00"]}],
        [{**SQUARE, "points": [[0, 0], [1, 1], [10**400, 0]]}],
    ],
)
def test_bad_zones_are_refused(zones: Any) -> None:
    with pytest.raises(Refused) as refused:
        inputs.zones(zones)
    assert refused.value.status == 400


@settings(max_examples=50)
@given(anything | st.lists(st.fixed_dictionaries({"name": anything, "camera": anything, "points": anything})))
def test_whatever_comes_is_refused_or_whole(value: Any) -> None:
    try:
        zones = inputs.zones(value)
    except Refused:
        return
    for zone in zones:
        assert zone["name"] and len(zone["points"]) >= 3
        assert all(0 <= number <= 1 for point in zone["points"] for number in point)


@given(anything)
def test_names_are_lines(value: Any) -> None:
    try:
        name = inputs.text(value, "name")
    except Refused as refused:
        assert not value or repr(value) not in refused.line or len(repr(value)) < 4  # nothing is repeated
        return
    assert 0 < len(name) <= 64 and "\n" not in name and name == value
