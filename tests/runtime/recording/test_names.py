from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.recording.names import parse_name, partial_name, segment_name, slug, stamp

MOMENTS = st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000)


@given(st.lists(MOMENTS, min_size=2, max_size=20))
def test_names_sort_by_wall_time(moments: list[float]) -> None:
    names = [segment_name(at, "", 7) for at in moments]
    assert [moments[names.index(name)] for name in sorted(names)] == sorted(moments)


@given(MOMENTS, st.text(max_size=60), st.integers(0, 10**9))
def test_a_name_is_taken_apart_as_it_was_made(at: float, camera: str, number: int) -> None:
    name = segment_name(at, camera, number)
    assert name.isascii()
    assert "/" not in name
    assert len(name) < 100
    for text, partial in ((name, False), (partial_name(name), True)):
        parsed = parse_name(text)
        assert parsed is not None
        assert (parsed.text, parsed.number, parsed.partial) == (name, number, partial)


@given(st.integers(0, 4_000_000_000_000))
def test_a_stamp_is_the_time_in_utc(milliseconds: int) -> None:
    moment = datetime.strptime(stamp(milliseconds / 1000), "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=timezone.utc)
    assert abs(moment.timestamp() - milliseconds / 1000) < 0.0011


def test_a_camera_becomes_part_of_a_file_name() -> None:
    assert slug("../Front door/é 1") == "Front-door-1"
    assert segment_name(1_793_882_096.789, "Front door", 42) == "20261105T123456.789Z_Front-door_000042.mp4"
    assert segment_name(1_793_882_096.789, "…", 42) == "20261105T123456.789Z_000042.mp4"


@pytest.mark.parametrize(
    "text",
    [
        "clip.mp4",
        "20261105T123456.789Z_000042.mkv",
        "20261105T123456.789Z_000042.mp4.damaged",
        "20261105T123456.789Z_42.mp4",
        "20261105T123456.789Z_a b_000042.mp4",
        "x20261105T123456.789Z_000042.mp4",
        ".20261105T123456.789Z_000042.mp4",
        "20261105T123456.789Z_000042.mp4.partial",
        "20261105T123456.789Z_٠٠٠٠٤٢.mp4",
        "20261105T123456.789Z_000042.mp4\n",
    ],
)
def test_other_names_are_nobodys(text: str) -> None:
    assert parse_name(text) is None
