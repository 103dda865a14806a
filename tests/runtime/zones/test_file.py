from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.zones import Zone, ZoneMap, load_zones, save_zones

names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
unit = st.floats(0, 1)
zones = st.builds(Zone, names, st.lists(st.tuples(unit, unit), min_size=3, max_size=6, unique=True).map(tuple))
several = st.lists(zones, max_size=4, unique_by=lambda zone: zone.name).map(tuple)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.one_of(st.just(""), names, st.sampled_from(["yes", "1", "null", "~", "a: b", "#x"])), several)
)
def test_what_was_saved_is_read_back_equal(tmp_path: Path, wanted: ZoneMap) -> None:
    save_zones(tmp_path / "zones.yaml", wanted)
    assert load_zones(tmp_path / "zones.yaml")[0] == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["zones.yaml"]


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "zones.yaml"
    path.write_text(
        "# the gate\ncameras:\n  door:\n    - {name: gate, points: [[0, 0], [1, 0], [1, 1]]}\n    - name: glass\n"
        "      points:\n      - [0.0, 0.0]\n      - [1.0, 1.0]\n      - [1.0, 0.0]\n      - [0.0, 1e0]\n  yard:\n"
    )
    found, remarks = load_zones(path)
    gate, glass = Zone("gate", ((0, 0), (1, 0), (1, 1))), Zone("glass", ((0, 0), (1, 1), (1, 0), (0, 1)))
    assert found == {"door": (gate, glass), "yard": ()}
    assert remarks == [f"{path}, line 5: the border of zone 'glass' crosses itself; what it encloses twice is outside"]
    for empty in ("", "# nothing\n", "cameras:\n"):
        path.write_text(empty)
        assert load_zones(path) == ({}, [])


HEAD = "cameras:\n  door:\n"
GATE = "  - name: gate\n    points: [[0, 0], [1, 0], [1, 1]]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "  - name: gate\n    points: [[0, 0], [1, 0]]\n",
            "line 3: zone 'gate' has 2 different points; it needs 3",
        ),
        (
            HEAD + GATE + "  - name: far\n    points: [[0, 0], [2, 0], [1, 1]]\n",
            "line 5: zone 'far' has the point (2, 0)",
        ),
        (HEAD + GATE + GATE, "line 3: camera 'door' has two zones named 'gate'"),
        (
            HEAD + "  - name: gate\n    points: [[0, 0], [1, 0, 0], [1, 1]]\n",
            "line 4: zone 'gate': a point is [x, y], got 3",
        ),
        (
            HEAD + "  - name: gate\n    points:\n    - [0, 0]\n    - [x, 0]\n",
            "line 6: zone 'gate': 'x' is not a number",
        ),
        (HEAD + "  - name: gate\n    points: [[0, 0], [[1], 0], [1, 1]]\n", "line 4: zone 'gate': "),
        (HEAD + "  - name: gate\n    points: 3\n", "line 4: zone 'gate': points must be a list"),
        (HEAD + "  - name: gate\n", "line 3: a zone has name and points, and here 'points' is missing"),
        (
            HEAD + "  - name: gate\n    points: []\n    colour: red\n",
            "line 3: a zone has name and points, and here 'colour' is",
        ),
        (HEAD + "  - name: [a]\n    points: []\n", "line 3: a zone's name must be a text"),
        (HEAD + "  - gate\n", "line 3: a zone must be written as `key: value`"),
        ("cameras:\n  door: gate\n", "line 2: camera 'door' must be a list"),
        ("cameras:\n  door: []\n  door: []\n", "line 3: cameras: 'door' is there twice"),
        ("cameras: [a]\n", "line 1: cameras must be written as"),
        ("camera:\n", "line 1: a file of zones has cameras, and here 'camera' is unknown"),
        ("- a\n", "line 1: a file of zones must be written as"),
        ("cameras:\n  door: [\n", "line 3: this is not YAML"),
        ("cameras: \x00", "this is not YAML"),
        ("cameras: &a [*a]\n", "line 1: cameras must be written as"),
        ("!!python/object/apply:os.system ['true']\n", "line 1: a file of zones must be written as"),
        ("[" * 100_000, "this is not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "zones.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_zones(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_what_cannot_be_a_file_of_zones_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the zones .*absent cannot be read: No such file"):
        load_zones(tmp_path / "absent")
    (tmp_path / "big").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="longer than 1000000 bytes"):
        load_zones(tmp_path / "big")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd\x00\x01")
    with pytest.raises(ConfigError, match="this is not YAML"):
        load_zones(tmp_path / "binary")


def test_zones_that_could_not_be_read_back_are_not_saved(tmp_path: Path) -> None:
    path, gate = tmp_path / "zones.yaml", Zone("gate", ((0, 0), (1, 0), (1, 1)))
    save_zones(path, {"door": (gate,)})
    with pytest.raises(ConfigError, match="camera 'door' has two zones named 'gate'"):
        save_zones(path, {"door": (gate, gate)})
    with pytest.raises(ConfigError, match="camera 'door' has 65 zones; at most 64"):
        save_zones(path, {"door": tuple(Zone(str(number), gate.points) for number in range(65))})
    assert load_zones(path)[0] == {"door": (gate,)}
