"""Objects of recordings: worked on by several lanes out of order, followed in order."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg_runtime.chronicle import Chronicle
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.events import Events
from edgeseg_runtime.instances.following import Follower, Following
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.lines import LineFile
from edgeseg_runtime.stream import StreamOptions, run_stream
from tests.runtime.instances.scripted import CONTRACT, at, scripted
from tests.runtime.lanes import OneByOne
from tests.runtime.numbers import Numbers

pytestmark = pytest.mark.timeout(60)
DOOR = CountLine("door", (0, 0.5), (1, 0.5))


class Walk:
    """Sees something walk down the picture; its lanes take now longer, now shorter."""

    contract: Contract = CONTRACT

    def __init__(self, fail_at: int | None = None) -> None:
        self._fail_at = fail_at

    def lane(self) -> OneByOne:
        dice = random.Random(id(object()))

        def run(image: Image) -> Result:
            index = int(image[0, 0, 0])
            time.sleep(dice.uniform(0, 0.004))
            if image.shape[0] == 120 and index == self._fail_at:
                raise KeyError("a bug")
            return scripted([at(40, 30 + 2 * index), at(120, 110 - 2 * index)])

        return OneByOne(run)


class Keep(Sink[tuple[int, ...]]):
    """Keeps results as they were when they were encoded, which happens in the lanes."""

    def __init__(self) -> None:
        self.results: list[InstanceResult] = []
        self.encoded: list[tuple[int, ...]] = []
        self.threads: set[str] = set()

    def encode(self, shot: Shot) -> tuple[int, ...]:
        self.threads.add(threading.current_thread().name)
        assert isinstance(shot.result, InstanceResult)
        return shot.result.ids

    def write(self, shot: Shot, encoded: tuple[int, ...]) -> None:
        assert isinstance(shot.result, InstanceResult)
        self.results.append(shot.result)
        self.encoded.append(encoded)

    def close(self) -> None: ...


def follow(tmp_path: Path, lanes: int, fps: float | None = 25.0) -> tuple[Keep, list[dict[str, Any]]]:
    keep, path = Keep(), tmp_path / f"{lanes}.jsonl"
    chronicle = Chronicle("walk", following=Following(lines=(DOOR,)), lines=LineFile(str(path)))
    run_stream(Numbers(40, fps), Walk(), [keep, chronicle], StreamOptions(lanes, follow=chronicle.follow))
    told = [json.loads(line) for line in path.read_text().splitlines()]
    return keep, [{key: value for key, value in event.items() if key != "at"} for event in told]


@pytest.mark.parametrize("fps", [25.0, None])
def test_objects_keep_their_ids_and_are_counted_whatever_the_number_of_lanes(tmp_path: Path, fps: float | None) -> None:
    alone, told = follow(tmp_path, 1, fps)
    several, told_too = follow(tmp_path, 5, fps)
    assert alone.encoded == several.encoded == [result.ids for result in several.results]
    assert alone.encoded[1:] == 39 * [alone.encoded[1]]
    assert told == told_too
    assert {event["direction"] for event in told} == {"in", "out"} and len(told) == 2
    for event in told:
        assert (event["kind"], event["source"], event["line"]) == ("line.crossed", "walk", "door")
        assert event["time"] == (None if fps is None else event["frame"] / fps)
    # y = 30 + 2i and 110 - 2i pass the middle, 60, after frames 15 and 25, and are told a twentieth of 20 px beyond it
    assert {event["direction"]: event["frame"] for event in told} == {"in": 16, "out": 26}
    counts = [result.counts.as_dict() for result in several.results if result.counts is not None]
    assert counts == [result.counts.as_dict() for result in alone.results if result.counts is not None]
    assert counts[-1]["lines"] == {"door": {"in": {"car": 1}, "out": {"car": 1}}}
    assert all("edgeseg-lane" in name for name in several.threads)  # drawing is still the lanes' work


def test_the_control_without_an_order_confuses_them() -> None:
    """What a follower makes of results as the lanes hand them in."""
    follower, ids = Follower("", Events(), Following()), set()
    for index in np.random.default_rng(0).permutation(40):
        result = follower(scripted([at(40, 30 + 2 * index), at(120, 110 - 2 * index)]), float(index) / 25)
        assert isinstance(result, InstanceResult)
        ids |= set(result.ids)
    assert len(ids - {0}) > 2


def test_a_lane_that_fails_ends_the_stream_and_nobody_waits_for_its_turn() -> None:
    keep = Keep()
    options = StreamOptions(4, follow=Chronicle("", following=Following()).follow)
    with pytest.raises(KeyError, match="a bug"):
        run_stream(Numbers(40), Walk(fail_at=20), [keep], options)
    assert len(keep.results) <= 20
    time.sleep(0.1)
    assert not [thread for thread in threading.enumerate() if thread.name == "edgeseg-lane"]


def test_a_limit_ends_it_as_it_ends_any_stream() -> None:
    keep = Keep()
    options = StreamOptions(3, limit=7, follow=Chronicle("", following=Following()).follow)
    assert run_stream(Numbers(40), Walk(), [keep], options).emitted == 7
    assert len(keep.results) == 7
