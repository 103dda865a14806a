"""What happens in a recording, told in the order of its frames."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg_runtime.chronicle import Chronicle
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.instances.following import Following
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.result import Result, SemanticResult, StageTimes
from edgeseg_runtime.sinks import JsonLinesSink
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.lines import LineFile
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.stream import StreamOptions, run_stream
from edgeseg_runtime.zones.areas import ZoneAreas, ZoneShares
from edgeseg_runtime.zones.polygon import Zone
from edgeseg_runtime.zones.rules import ZoneRule
from tests.runtime.instances.scripted import CONTRACT, at, scripted
from tests.runtime.lanes import OneByOne
from tests.runtime.numbers import Numbers

pytestmark = pytest.mark.timeout(60)
LEFT = Zone("left", ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
ALL = Zone("all", ((0, 0), (1, 0), (1, 1), (0, 1)))


class Model:
    """Says what a script says of a frame's number; its lanes take now longer, now shorter."""

    def __init__(self, contract: Contract, script: Callable[[int], Result]) -> None:
        self.contract, self._script = contract, script

    def lane(self) -> OneByOne:
        dice = random.Random(id(object()))

        def run(image: Image) -> Result:
            time.sleep(dice.uniform(0, 0.003))
            return self._script(int(image[0, 0, 0]))

        return OneByOne(run)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def halves(contract: Contract, share: Callable[[int], float]) -> Callable[[int], Result]:
    """A mask of class 0 with class 1 in a share of the left half, from the top."""

    def script(index: int) -> Result:
        mask = np.zeros((20, 32), np.uint8)
        mask[: round(20 * share(index)), :16] = 1
        return SemanticResult(mask, contract, StageTimes(0, 0, 0))

    return script


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("fps", [10.0, None])
def test_zones_of_a_recording_are_measured_and_told_by_its_own_time(
    tmp_path: Path, colour_contract: Contract, lanes: int, fps: float | None
) -> None:
    """Class 1 fills half of the left half from frame 10 to 49."""
    path, table = tmp_path / "events.jsonl", tmp_path / "frames.jsonl"
    model = Model(colour_contract, halves(colour_contract, lambda index: 0.5 * (10 <= index < 50)))
    chronicle = Chronicle("door", (LEFT, ALL), lines=LineFile(str(path)))
    frames = JsonLinesSink(str(table), zones=chronicle.shares)
    run_stream(Numbers(80, fps, (20, 32)), model, [frames, chronicle], StreamOptions(lanes))

    told = lines(path)
    assert [event["frame"] for event in told] == sorted(event["frame"] for event in told)
    assert all(event["source"] == "door" for event in told)
    assert all(event["time"] == (None if fps is None else event["frame"] / fps) for event in told)
    settle = 13 if fps is None else 5  # half a second; pictures are taken for 25 a second
    green = [(event["kind"], event["zone"], event["frame"]) for event in told if event["class"] == "green"]
    assert green == [
        ("zone.enter", "left", 10 + settle),
        ("zone.enter", "all", 10 + settle),
        ("zone.leave", "left", 50 + settle),
        ("zone.leave", "all", 50 + settle),
    ]
    red = [event for event in told if event["class"] == "red"]
    assert [(event["kind"], event["frame"]) for event in red] == 2 * [("zone.enter", settle)] + 2 * [("zone.leave", 79)]
    assert [event["reason"] for event in red[2:]] == ["ended", "ended"]

    measured = [line["zones"] for line in lines(table)]
    for index, zones in enumerate(measured):
        there = 0.5 * (10 <= index < 50)
        assert zones["left"] == {"red": 1 - there, "green": there, "blue": 0.0}
        assert zones["all"] == {"red": 1 - there / 2, "green": there / 2, "blue": 0.0}
    assert chronicle.areas["left"] == {"red": 0.75, "green": 0.25, "blue": 0.0}
    assert chronicle.areas["all"] == {"red": 0.875, "green": 0.125, "blue": 0.0}
    assert chronicle.counts is None


def walking(index: int) -> InstanceResult:
    """One that walks down through the upper half, and one that stands in the lower."""
    return scripted([at(40, 24 + 2 * index), at(120, 118)])


UPPER = Zone("upper", ((0, 0), (1, 0), (1, 0.5), (0, 0.5)))
LOWER = Zone("lower", ((0, 0.5), (1, 0.5), (1, 1), (0, 1)))


@pytest.mark.parametrize("lanes", [1, 4])
def test_objects_are_told_in_the_order_of_the_frames_and_leave_at_the_end(tmp_path: Path, lanes: int) -> None:
    path = tmp_path / "events.jsonl"
    rule = ZoneRule(enter=1.0, leave=1.0)  # the areas keep quiet: no class fills a zone
    chronicle = Chronicle("", (UPPER, LOWER), Following(), LineFile(str(path)), rule)
    run_stream(Numbers(44), Model(CONTRACT, walking), [chronicle], StreamOptions(lanes, follow=chronicle.follow))
    told = [(event["kind"], event["zone"], event["id"], event["frame"]) for event in lines(path)]
    first, second = told[0][2], told[1][2]
    # Ids are there from frame 1 on, and .3 s are 8 frames. Its feet are below the middle from 24 + 2·18 = 60 on.
    assert told == [
        ("object.entered", "upper", first, 9),
        ("object.entered", "lower", second, 9),
        ("object.left", "upper", first, 26),
        ("object.entered", "lower", first, 26),
        ("object.left", "lower", second, 43),
        ("object.left", "lower", first, 43),
    ]
    ended = lines(path)[-2:]
    assert {event["reason"] for event in ended} == {"ended"}
    assert [event["seconds"] for event in ended] == [pytest.approx(42 / 25), pytest.approx(25 / 25)]
    assert chronicle.counts is not None
    assert chronicle.counts.as_dict()["zones"] == {
        "upper": {"inside": {}, "entered": {"car": 1}},
        "lower": {"inside": {"car": 2}, "entered": {"car": 2}},
    }


def test_what_is_followed_ahead_is_told_when_its_frame_is_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    chronicle = Chronicle("", (UPPER,), Following(), LineFile(str(path)), ZoneRule(enter=1.0, leave=1.0))
    frames = [Frame(index, np.zeros((120, 160, 3), np.uint8), 0.0, index / 25, str(index)) for index in range(14)]
    shots = [Shot(frame, chronicle.follow(walking(frame.index), frame), color_table(CONTRACT), 0.5) for frame in frames]
    for shot in shots[:9]:
        chronicle.write(shot, chronicle.encode(shot))
    assert lines(path) == []
    chronicle.write(shots[9], chronicle.encode(shots[9]))
    assert [event["kind"] for event in lines(path)] == ["object.entered"]
    chronicle.close()  # an interrupted stream: what was followed and never written still has its end
    assert [(event["kind"], event["frame"]) for event in lines(path)][1:] == [("object.left", 13)]


def test_a_shot_is_measured_once_for_all_who_ask(colour_contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mask] = []
    measure = ZoneAreas.shares

    def counted(areas: ZoneAreas, mask: Mask, names: Sequence[str]) -> ZoneShares:
        asked.append(mask)
        return measure(areas, mask, names)

    monkeypatch.setattr(ZoneAreas, "shares", counted)
    chronicle = Chronicle("", (LEFT,))
    frame = Frame(0, np.zeros((20, 32, 3), np.uint8), 0.0, 0.0, "0")
    result = halves(colour_contract, lambda _: 0.25)(0)
    shot = Shot(frame, result, color_table(colour_contract), 0.5)
    assert chronicle.shares(shot) == chronicle.encode(shot) == {"left": {"red": 0.75, "green": 0.25, "blue": 0.0}}
    assert len(asked) == 1


def test_without_zones_no_mask_is_made_of_objects() -> None:
    chronicle = Chronicle("", following=Following())
    frame = Frame(0, np.zeros((120, 160, 3), np.uint8), 0.0, 0.0, "0")
    result = chronicle.follow(walking(0), frame)
    shot = Shot(frame, result, color_table(CONTRACT), 0.5)
    assert chronicle.encode(shot) == {} and "mask" not in vars(result)


def test_without_objects_to_follow_a_result_stays_as_it_is(colour_contract: Contract) -> None:
    frame = Frame(0, np.zeros((20, 32, 3), np.uint8), 0.0, 0.0, "0")
    result = halves(colour_contract, lambda _: 0.25)(0)
    assert Chronicle("", (LEFT,)).follow(result, frame) is result
    assert Chronicle("").areas == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no disk that is always full")
def test_a_full_disk_ends_the_stream_as_with_any_output_of_a_recording(colour_contract: Contract) -> None:
    model = Model(colour_contract, halves(colour_contract, lambda _: 0.5))
    chronicle = Chronicle("", (LEFT,), lines=LineFile("/dev/full"))
    with pytest.raises(OutputError, match="/dev/full cannot be written: No space left on device"):
        run_stream(Numbers(40, 10.0, (20, 32)), model, [chronicle], StreamOptions(2))
