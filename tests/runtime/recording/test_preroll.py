from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.recording.encoder import Chunk
from edgeseg_runtime.recording.preroll import GAP_SECONDS, PreRoll


@dataclass
class Packet:
    size: int


def chunk(at: float, key: bool, size: int = 1) -> Chunk:
    return Chunk(at, round(at * 90_000), key, (Packet(size),))


@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.integers(1, 50)), max_size=80),
    st.integers(0, 60),
    st.integers(40, 400),
)
def test_it_holds_the_newest_frames_from_a_key_frame_on_within_its_bounds(
    steps: list[tuple[int, bool, int]], seconds: int, limit: int
) -> None:
    ring, pushed, now = PreRoll(seconds, limit), [], 0
    for gap, key, size in steps:
        now += gap
        one = chunk(now, key or ring.empty, size)
        ring.push(one)
        pushed.append(one)
        held = ring.chunks
        assert held == pushed[len(pushed) - len(held) :]
        assert ring.size == sum(old.size for old in held) <= limit
        assert not held or held[0].key
        keys = [old for old in held if old.key]
        if len(keys) > 1:  # a run more than asked for at most, and nothing from before a gap
            assert now - keys[1].time < seconds
            before = pushed[pushed.index(keys[1]) - 1]
            assert now - before.time < seconds + GAP_SECONDS


@pytest.mark.parametrize("seconds", [0.0, 1.0, 2.5, 5.0])
def test_of_steady_frames_it_holds_what_was_asked_for_and_up_to_a_second_more(seconds: float) -> None:
    ring = PreRoll(seconds)
    for index in range(500):
        at = index / 25
        ring.push(chunk(at, index % 25 == 0))
        if at > seconds + 1:
            assert seconds - 0.001 <= at - ring.chunks[0].time <= seconds + 1


def test_frames_from_before_a_gap_are_not_the_last_seconds() -> None:
    ring = PreRoll(5.0)
    for at in (0.0, 1.0, 2.0):
        ring.push(chunk(at, True))
    ring.push(chunk(60.0, True))
    assert [one.time for one in ring.chunks] == [60.0]


def test_a_run_that_is_too_much_is_dropped_whole_and_wants_a_key_frame() -> None:
    ring = PreRoll(5.0, limit=100)
    ring.push(chunk(0.0, True, 60))
    ring.push(chunk(0.1, False, 60))
    assert ring.empty
    with pytest.raises(ValueError, match="begins with a key frame"):
        ring.push(chunk(0.2, False, 1))
