from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.recording.trigger import Comparison, Condition, Joined, parse_trigger

KNOWN = ("road", "person", "traffic light", "and", "7", "it's", 'a "b"', "half-open", "Straße")


@pytest.mark.parametrize(
    ("text", "area", "holds"),
    [
        ("person>5%", {"person": 0.0501}, True),
        ("person>5%", {"person": 0.05}, False),
        ("person >= 5 %", {"person": 0.05}, True),
        ("person<.05", {"person": 0.0499}, True),
        ("person<=0.05", {"person": 0.051}, False),
        ("'traffic light'>0", {"traffic light": 1e-6}, True),
        ('"traffic light" > 0', {"traffic light": 0.0}, False),
        ('\'it\'\'s\' > 0 or "a ""b""">0', {"it's": 0.0, 'a "b"': 0.1}, True),
        ("'and'>1% and 7>1%", {"and": 0.1, "7": 0.1}, True),
        ("half-open > 1% and Straße < 50%", {"half-open": 0.1, "Straße": 0.1}, True),
        # `and` binds more closely than `or`
        ("road>50% or person>50% and 7>50%", {"road": 1.0, "person": 0.0, "7": 0.0}, True),
        ("(road>50% or person>50%) and 7>50%", {"road": 1.0, "person": 0.0, "7": 0.0}, False),
        # a model that was put in meanwhile may lack a class: neither more nor less
        ("person<5%", {"road": 1.0}, False),
        ("person>=0", {"road": 1.0}, False),
    ],
)
def test_conditions_are_read_as_written(text: str, area: dict[str, float], holds: bool) -> None:
    assert parse_trigger(text, KNOWN).holds(area) is holds


@pytest.mark.parametrize(
    ("text", "position", "wanted", "got"),
    [
        ("", 1, "a class", "nothing more"),
        ("   ", 4, "a class", "nothing more"),
        ("person", 7, "one of > < >= <=", "nothing more"),
        ("person > ", 10, "an amount such as 5%", "nothing more"),
        ("person > 5% and", 16, "a class", "nothing more"),
        ("person == 5%", 8, "one of > < >= <=", "'='"),
        ("person > 5", 10, "for percent write 5%", "'5'"),
        ("person > 101%", 10, "0%..100%", "'101%'"),
        ("person > 5%%", 12, "'and', 'or' or the end", "'%'"),
        ("person > -5%", 10, "an amount", "'-5'"),
        ("dog > 5%", 1, "road, person, traffic light", "'dog'"),
        ("road > 5% or Person > 5%", 14, "one of the model's classes", "'Person'"),
        ("traffic light > 5%", 1, "one of the model's classes", "'traffic'"),
        ("person > 5% road > 5%", 13, "'and', 'or' or the end", "'road'"),
        ("(person > 5%", 13, "')'", "nothing more"),
        ("person > 5%)", 12, "'and', 'or' or the end", "')'"),
        ("'person > 5%", 1, "a class", '"\'"'),
        ("person > nan", 10, "an amount", "'nan'"),
        ("person > 1e-3", 10, "an amount", "'1e-3'"),
        ("or > 5%", 1, "a class", "'or'"),
        ("(" * 51 + "person > 5%", 51, "at most 50", "'('"),
    ],
)
def test_an_error_names_the_place_and_what_is_possible(text: str, position: int, wanted: str, got: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_trigger(text, KNOWN)
    message = str(caught.value)
    assert f"position {position}:" in message
    assert wanted in message
    assert message.endswith(f"got {got}")
    assert "\n" not in message


SIGNS = st.sampled_from([">", "<", ">=", "<="])
AMOUNTS = st.one_of(
    st.integers(0, 100).map(lambda n: f"{n}%"),
    st.integers(0, 1000).map(lambda n: f"{n / 1000:.3f}"),
    st.sampled_from([".5", "1.", "0.0%"]),
)
COMPARISONS = st.builds(Comparison, st.sampled_from(KNOWN), SIGNS, AMOUNTS)


def _join(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return st.builds(Joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=4).map(tuple))


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(COMPARISONS, _join, max_leaves=12)
AREAS = st.dictionaries(st.sampled_from(KNOWN), st.integers(0, 1000).map(lambda n: n / 1000))


@given(CONDITIONS)
def test_what_is_printed_is_read_back_equal(condition: Condition) -> None:
    assert parse_trigger(str(condition), KNOWN) == condition


@given(CONDITIONS, AREAS)
def test_it_holds_when_python_says_so(condition: Condition, area: dict[str, float]) -> None:
    """The reference: each comparison replaced by its value, the rest given to Python's own `and`, `or` and brackets."""

    def value(found: re.Match[str]) -> str:
        name, sign, amount = found[1].replace('""', '"'), found[2], found[3]
        share = float(amount[:-1]) / 100 if amount.endswith("%") else float(amount)
        return str(name in area and eval(f"{area[name]} {sign} {share}"))

    text = re.sub(r'"((?:[^"]|"")*)" ([<>]=?) ([\d.]+%?)', value, str(condition))
    assert parse_trigger(str(condition), KNOWN).holds(area) is eval(text)


@given(st.text(alphabet="person roadand<>=%.()'\"5 1\t", max_size=40))
def test_any_text_is_either_read_or_refused_with_a_place(text: str) -> None:
    try:
        condition = parse_trigger(text, KNOWN)
    except ConfigError as error:
        found = re.search(r"position (\d+):", str(error))
        assert found is not None
        assert 1 <= int(found[1]) <= len(text) + 1
    else:
        assert condition.classes <= set(KNOWN)
