"""Objects in live streams: who is who and what is counted, by the frames' own times, whatever is dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.instances.following import Following
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.live.base import InferenceFailed, Moment
from edgeseg_runtime.live.loop import LiveLoop, LiveOptions
from edgeseg_runtime.live.summary import LiveSummary
from edgeseg_runtime.pipeline import Stop
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.telemetry.prometheus import metrics_text
from edgeseg_runtime.zones.polygon import Zone
from tests.runtime.instances.scripted import CONTRACT, PERSON, at, scripted
from tests.runtime.live.conftest import number

if TYPE_CHECKING:
    from tests.runtime.live.conftest import FakeCamera, FakeModel

DOOR = CountLine("door", (0, 0.5), (1, 0.5))
LOWER = Zone("lower", ((0, 0.6), (1, 0.6), (1, 1), (0, 1)))
AHEAD = time.monotonic() + 3600
"""When the first frame of a test was captured: however slow the machine is, no silence comes of that."""
Wait = Callable[..., bool]


class Keep(Sink[None]):
    backlog = 10_000

    def __init__(self) -> None:
        self.shots: list[Shot] = []

    def encode(self, shot: Shot) -> None: ...

    def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
        self.shots.append(shot)

    def close(self) -> None: ...


@pytest.fixture
def walking(make_model: type[FakeModel]) -> FakeModel:
    """A model that sees a person walk down the picture, 1.5 px for each number of a frame."""

    class Walking(make_model):  # type: ignore[misc, valid-type]
        contract = CONTRACT

        def infer(self, frame: Image, moment: Moment | None = None) -> Result:
            super().infer(frame, moment)
            return scripted([at(80, 30 + 1.5 * number(frame), label=PERSON)])

    return Walking()


class Run:
    def __init__(self, loop: LiveLoop) -> None:
        self.loop, self.stop = loop, Stop()
        self.summary: LiveSummary | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.summary = self.loop.run(self.stop)

    def end(self) -> LiveSummary:
        self.stop.wanted = True
        self._thread.join(20)
        assert self.summary is not None
        return self.summary


@pytest.fixture
def run() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*arguments: Any) -> Run:
        runs.append(Run(LiveLoop(*arguments)))
        return runs[-1]

    yield begin
    for one in runs:
        one.end()


def results(keep: Keep) -> list[InstanceResult]:
    found = [shot.result for shot in keep.shots]
    assert all(isinstance(result, InstanceResult) for result in found)
    return found  # type: ignore[return-value]


def test_ids_counts_and_events_of_a_camera_that_drops_frames(
    make_camera: type[FakeCamera], walking: FakeModel, wait_until: Wait, run: Callable[..., Run]
) -> None:
    told: list[Event] = []
    events = Events()
    events.subscribe(told.append)
    camera, keep = make_camera("yard"), Keep()
    how = Following(lines=(DOOR,), zones=lambda name: {"yard": (LOWER,)}[name])
    running = run([camera], walking, [keep], LiveOptions(following=how), events)
    given = [index for index in range(50) if not 15 <= index < 30]  # half a second that nobody saw
    for index in given:
        camera.captured = index
        camera.give(at=AHEAD + index / 30)
        assert wait_until(lambda index=index: walking.seen and walking.seen[-1] == index)
    assert wait_until(lambda: len(keep.shots) == len(given))
    counts = running.loop.status().cameras[0].counts
    assert counts is not None
    assert counts.lines[0].as_dict() == {"in": {"person": 1}, "out": {}}
    summary = running.end()
    assert [result.ids for result in results(keep)] == [(0,)] + (len(given) - 1) * [(1,)]
    happened = [event for event in told if event.kind.startswith(("line", "object"))]
    assert [(event.kind, event.source) for event in happened] == [
        ("line.crossed", "yard"),
        ("object.entered", "yard"),
        ("object.left", "yard"),
    ]
    plain = summary.status.as_dict()["cameras"][0]["counts"]
    assert plain["lines"] == {"door": {"in": {"person": 1}, "out": {}}}
    assert plain["zones"]["lower"]["entered"] == {"person": 1}


def test_metrics_count_objects_lines_and_zones(
    make_camera: type[FakeCamera], walking: FakeModel, wait_until: Wait, run: Callable[..., Run]
) -> None:
    camera = make_camera("yard")
    running = run([camera], walking, [], LiveOptions(following=Following(lines=(DOOR,), zones=lambda _: (LOWER,))))
    for index in range(50):
        camera.captured = index
        camera.give(at=AHEAD + index / 30)
        assert wait_until(lambda index=index: walking.seen and walking.seen[-1] == index)
    assert wait_until(lambda: running.loop.status().cameras[0].account.in_flight == 0)
    text = metrics_text(running.loop.status())
    assert 'edgeseg_objects{camera="yard",class="person"} 1\n' in text
    assert 'edgeseg_line_crossed_total{camera="yard",line="door",direction="in",class="person"} 1\n' in text
    assert 'edgeseg_zone_objects{camera="yard",zone="lower",class="person"} 1\n' in text
    assert 'edgeseg_zone_entered_total{camera="yard",zone="lower",class="person"} 1\n' in text


def test_each_camera_has_ids_of_its_own_and_a_failed_frame_ends_no_track(
    make_camera: type[FakeCamera], walking: FakeModel, wait_until: Wait, run: Callable[..., Run]
) -> None:
    def fails(index: int) -> None:
        if index == 5:
            raise InferenceFailed("a test")

    walking.work = fails
    cameras, keep = [make_camera("one"), make_camera("two")], Keep()
    running = run(cameras, walking, [keep], LiveOptions(following=Following()))
    for index in range(10):
        for camera in cameras:
            captured = running.loop.tracks[cameras.index(camera)].ledger
            camera.give(at=AHEAD + index / 30)
            assert wait_until(
                lambda ledger=captured, index=index: (
                    ledger.account().captured == index + 1 and not ledger.account().in_flight
                )
            )
    assert wait_until(lambda: len(keep.shots) == 18)
    for name in ("one", "two"):
        ids = [shot.result.ids for shot in keep.shots if shot.frame.camera == name]  # type: ignore[attr-defined]
        assert ids == [(0,)] + 8 * [(1,)]


def test_nobody_is_followed_who_need_not_be(
    make_camera: type[FakeCamera], walking: FakeModel, wait_until: Wait, run: Callable[..., Run]
) -> None:
    camera, keep = make_camera("yard"), Keep()
    running = run([camera], walking, [keep], LiveOptions())
    camera.give()
    assert wait_until(lambda: len(keep.shots) == 1)
    assert results(keep)[0].ids == ()
    assert running.loop.status().as_dict()["cameras"][0]["counts"] is None
    assert "edgeseg_objects" not in metrics_text(running.loop.status())


def test_who_is_inside_leaves_when_the_camera_falls_silent(
    make_camera: type[FakeCamera], walking: FakeModel, wait_until: Wait, run: Callable[..., Run]
) -> None:
    told: list[Event] = []
    events = Events()
    events.subscribe(told.append)
    camera = make_camera("yard")
    running = run([camera], walking, [], LiveOptions(following=Following(zones=lambda _: (LOWER,))), events)
    for index in range(30, 46):
        camera.captured = index
        camera.give(at=AHEAD + index / 30)
        assert wait_until(lambda index=index: walking.seen and walking.seen[-1] == index)
    assert wait_until(lambda: "object.entered" in [event.kind for event in told])
    running.loop.tracks[0].tick(AHEAD + 46 / 30)
    assert "object.left" not in [event.kind for event in told]
    running.loop.tracks[0].tick(AHEAD + 10)
    assert [event.data["reason"] for event in told if event.kind == "object.left"] == ["stale"]
