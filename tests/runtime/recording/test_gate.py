from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.recording.gate import Gate


def verdicts(gate: Gate, frames: list[tuple[bool, float]]) -> list[bool]:
    given = []
    for holds, now in frames:
        gate.see(holds, now)
        given.append(gate.wants(now))
    return given


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60), st.integers(0, 8))
def test_it_records_while_the_condition_held_a_post_roll_ago(steps: list[tuple[bool, int]], post_roll: int) -> None:
    now, frames = 0, []
    for holds, gap in steps:
        now += gap
        frames.append((holds, float(now)))
    expected = [
        any(holds and at - earlier <= post_roll for holds, earlier in frames[: place + 1])
        for place, (_, at) in enumerate(frames)
    ]
    assert verdicts(Gate(False, post_roll), frames) == expected


def test_a_flickering_mask_makes_one_recording_and_without_post_roll_many() -> None:
    frames = [(index % 3 == 0, index / 10) for index in range(60)]
    assert all(verdicts(Gate(False, 1.0), frames))
    without = verdicts(Gate(False, 0.0), frames)
    assert sum(now and not before for before, now in zip([False, *without], without, strict=False)) == 20


def test_stop_ends_at_once_and_waits_until_the_condition_was_false() -> None:
    gate = Gate(False, 10.0)
    assert verdicts(gate, [(True, 0.0), (True, 1.0)]) == [True, True]
    gate.command("stop")
    assert verdicts(gate, [(True, 1.1), (True, 30.0), (False, 31.0), (True, 32.0), (False, 33.0)]) == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_start_goes_on_until_stop() -> None:
    gate = Gate(False, 1.0)
    gate.command("start")
    assert verdicts(gate, [(False, 0.0), (False, 1000.0)]) == [True, True]
    gate.command("stop")
    assert verdicts(gate, [(False, 1000.1)]) == [False]


def test_what_is_always_recorded_stops_and_starts_by_hand() -> None:
    gate = Gate(True, 1.0)
    assert gate.wants(0.0)
    gate.command("stop")
    assert not gate.wants(0.0)
    gate.command("start")
    assert gate.wants(0.0)


def test_time_that_begins_anew_does_not_stretch_the_post_roll() -> None:
    frames = [(True, 1000.0), (False, 0.0), (False, 2.0), (False, 4.1)]
    assert verdicts(Gate(False, 2.0), frames) == [True, True, True, False]
