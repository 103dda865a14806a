from __future__ import annotations

import collections
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeseg_runtime.errors import ConfigError, FrameError, OutputError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.live.account import Account
from edgeseg_runtime.live.base import InferenceFailed, ModelNotReady
from edgeseg_runtime.live.loop import LiveLoop, LiveOptions
from edgeseg_runtime.live.status import Status
from edgeseg_runtime.live.summary import LiveSummary
from edgeseg_runtime.live.track import Masked
from edgeseg_runtime.pipeline import Stop
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sources.base import Frame

if TYPE_CHECKING:
    from tests.runtime.live.conftest import EagerCamera, FakeCamera, FakeModel

Wait = Callable[..., bool]


class Keep(Sink[None]):
    """Keeps what it is given; `work` is called first, and may wait or raise."""

    name = "keep"

    def __init__(self, backlog: int = 10_000, work: Callable[[Shot], None] = lambda _: None) -> None:
        self.backlog, self.work = backlog, work
        self.shots: list[Shot] = []
        self.threads: set[str] = set()
        self.closed = 0

    def encode(self, shot: Shot) -> None:
        self.threads.add(threading.current_thread().name)
        self.work(shot)

    def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
        self.shots.append(shot)

    def close(self) -> None:
        self.closed += 1


def wait_at(gate: threading.Event, closed: bool = True) -> None:
    if closed:
        gate.wait(20)


class Running:
    """A loop in a thread of its own."""

    def __init__(self, loop: LiveLoop) -> None:
        self.loop, self.stop = loop, Stop()
        self.summary: LiveSummary | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> LiveSummary:
        self.stop.wanted = True
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        assert self.summary is not None
        return self.summary

    def _run(self) -> None:
        try:
            self.summary = self.loop.run(self.stop)
        except BaseException as error:
            self.error = error


def balanced(status: Status) -> list[Account]:
    accounts = [camera.account for camera in status.cameras]
    for account in accounts:
        total = account.inferred + account.reused + account.failed + sum(account.dropped.values())
        assert account.captured == total and account.in_flight == 0
    return accounts


def test_every_frame_goes_through_while_the_model_keeps_up(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    camera, model, keep = make_camera(), make_model(), Keep()
    running = Running(LiveLoop([camera], model, [keep]))
    for index in range(20):
        camera.give()
        assert wait_until(lambda index=index: len(keep.shots) == index + 1)
    summary = running.end()
    assert balanced(summary.status) == [Account(captured=20, inferred=20)]
    assert model.seen == list(range(20)) == [shot.frame.index for shot in keep.shots]
    assert all(shot.fresh and shot.masked_at == shot.frame.captured_at for shot in keep.shots)
    for shot in keep.shots:
        np.testing.assert_array_equal(shot.result.mask, shot.frame.index % 2)
    assert summary.ended == "interrupted" and keep.closed == camera.stopped == model.closed == 1
    (output,) = summary.status.outputs
    assert (output.name, output.written, output.dropped, output.error) == ("keep", 20, {}, None)
    assert summary.as_dict()["cameras"][0]["account"]["captured"] == 20


def test_only_the_newest_of_the_waiting_frames_is_taken(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    gate = threading.Event()
    camera, model, keep = make_camera(), make_model(lambda index: wait_at(gate, index == 0)), Keep()
    running = Running(LiveLoop([camera], model, [keep]))
    camera.give()
    assert wait_until(lambda: running.loop.tracks[0].ledger.account().captured == 1)
    for _ in range(9):
        camera.give()
    gate.set()
    assert wait_until(lambda: len(keep.shots) == 2)
    camera.give()  # after the end nobody takes it
    assert wait_until(lambda: len(keep.shots) == 3)
    assert model.seen == [0, 9, 10]
    assert balanced(running.end().status) == [Account(captured=11, inferred=3, dropped={"overtaken": 8})]


def test_what_waits_at_the_end_is_booked_as_stopped(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    gate = threading.Event()
    camera, model = make_camera(), make_model(lambda _: wait_at(gate))
    running = Running(LiveLoop([camera], model, [Keep()]))
    camera.give()
    assert wait_until(lambda: running.loop.tracks[0].ledger.account().captured == 1)
    camera.give()
    camera.give()
    started = time.monotonic()
    summary = running.end()
    assert time.monotonic() - started < 10  # a stuck model does not hold the end up
    assert balanced(summary.status) == [Account(captured=3, dropped={"stopped": 3})]
    gate.set()


def test_a_slow_output_loses_frames_of_its_own_and_nobody_elses(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    gate = threading.Event()
    slow, quick = Keep(backlog=2, work=lambda _: wait_at(gate)), Keep()
    slow.name = "slow"
    camera = make_camera()
    running = Running(LiveLoop([camera], make_model(), [slow, quick]))
    for index in range(30):
        camera.give()
        assert wait_until(lambda index=index: len(quick.shots) == index + 1)
        assert wait_until(lambda: len(slow.threads) == 1)  # it has the first and no other in hand
    gate.set()
    summary = running.end()
    assert balanced(summary.status) == [Account(captured=30, inferred=30)]  # capture and model did not notice
    by_name = {output.name: output for output in summary.status.outputs}
    assert by_name["keep"].written == 30 and by_name["keep"].dropped == {}
    assert by_name["slow"].written + by_name["slow"].dropped["slow"] == 30 and by_name["slow"].written <= 3
    assert [shot.frame.index for shot in slow.shots][-2:] == [28, 29]  # the newest won
    assert slow.threads.isdisjoint(quick.threads)


def test_a_broken_output_is_counted_and_told_once(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    def fail(shot: Shot) -> None:
        if shot.frame.index < 10:
            raise OutputError("the disk is full")

    events, told = Events(), list[Event]()
    events.subscribe(told.append)
    broken, good, camera = Keep(work=fail), Keep(), make_camera()
    running = Running(LiveLoop([camera], make_model(), [broken, good], events=events))
    for index in range(12):
        camera.give()
        assert wait_until(lambda index=index: len(good.shots) == index + 1)
    assert wait_until(lambda: len(broken.shots) == 2)  # it goes on once it can
    summary = running.end()
    assert balanced(summary.status) == [Account(captured=12, inferred=12)]
    output = summary.status.outputs[0]
    assert output.written == 2 and output.dropped == {"failed": 10} and output.error == "the disk is full"
    assert [event.as_dict()["error"] for event in told if event.kind == "output.failed"] == ["the disk is full"]
    assert not [event for event in told if event.kind == "output.resumed"]  # two frames say little


def test_frames_that_fail_are_booked_and_the_stream_goes_on(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    def work(index: int) -> None:
        if index % 3 == 1:
            raise InferenceFailed("a NaN")
        if index % 3 == 2:
            raise ModelNotReady

    camera, keep = make_camera(), Keep()
    running = Running(LiveLoop([camera], make_model(work), [keep]))
    for index in range(9):
        camera.give()
        assert wait_until(lambda index=index: running.loop.tracks[0].ledger.account().captured == index + 1)
    assert wait_until(lambda: running.loop.tracks[0].ledger.account().in_flight == 0)
    assert balanced(running.end().status) == [Account(captured=9, inferred=3, failed=3, dropped={"no mask": 3})]
    assert [shot.frame.index for shot in keep.shots] == [0, 3, 6]


def test_a_bug_in_the_model_ends_the_stream_with_its_traceback(
    make_camera: type[FakeCamera], make_model: type[FakeModel]
) -> None:
    def work(index: int) -> None:
        raise ZeroDivisionError

    camera, keep = make_camera(), Keep()
    running = Running(LiveLoop([camera], make_model(work), [keep]))
    time.sleep(0.05)
    camera.give()
    with pytest.raises(ZeroDivisionError):
        running.end()
    assert keep.closed == camera.stopped == 1


def test_skipped_frames_are_shown_with_the_last_mask_and_its_age(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    camera, model, keep = make_camera(), make_model(), Keep()

    class Static:
        def unchanged(self, frame: Frame) -> bool:
            return frame.index % 4 != 0

        def inferred(self, frame: Frame) -> None:
            noted.append(frame.index)

    noted: list[int] = []
    options = LiveOptions(skip=Static)
    running = Running(LiveLoop([camera], model, [keep], options))
    for index in range(12):
        camera.give()
        assert wait_until(lambda index=index: len(keep.shots) == index + 1)
    assert balanced(running.end().status) == [Account(captured=12, inferred=3, reused=9)]
    assert model.seen == noted == [0, 4, 8]
    for shot in keep.shots:
        source = keep.shots[shot.frame.index // 4 * 4]
        assert shot.masked_at == source.frame.captured_at and shot.result is source.result
        assert shot.fresh == (shot.frame.index % 4 == 0)


def test_no_output_sees_what_a_filter_hid(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    camera, model, keep = make_camera(), make_model(), Keep()
    options = LiveOptions(filters=(lambda shot: np.full_like(shot.frame.image, 7), lambda shot: shot.frame.image + 1))
    running = Running(LiveLoop([camera], model, [keep], options))
    camera.give()
    camera.give()
    assert wait_until(lambda: len(keep.shots) >= 1)
    running.end()
    for shot in keep.shots:
        np.testing.assert_array_equal(shot.frame.image, 8)
    assert model.seen[-1] == 1  # the model saw the real picture, which holds its number


def raises(_: Shot) -> Image:
    raise FrameError("no picture")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (raises, "no picture"),
        (lambda _: 1 / 0, "division by zero"),
        (lambda _: None, "a frame must be a uint8"),
        (lambda shot: shot.frame.image[:4], "a filter made 4×8×3 of 8×8×3"),
        (lambda shot: shot.frame.image.astype(np.float32), "got float32"),
    ],
)
@pytest.mark.parametrize("every", [False, True])
def test_a_frame_on_which_a_filter_fails_is_seen_by_nobody_and_the_stream_goes_on(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait, bad: Any, line: str, every: bool
) -> None:
    told: list[Event] = []
    events = Events()
    events.subscribe(told.append)
    camera, keep = make_camera(), Keep()
    sound = {0, 3, 5}

    def hide(shot: Shot) -> Image:
        return np.full_like(shot.frame.image, 7) if shot.frame.index in sound else bad(shot)

    filters = (hide, lambda shot: shot.frame.image + 1)
    options = LiveOptions(filters=filters, carry=Hold if every else None)
    running = Running(LiveLoop([camera], make_model(), [keep], options, events))
    ledger = running.loop.tracks[0].ledger
    for index in range(6):
        camera.give()
        assert wait_until(lambda index=index: ledger.account().captured == index + 1 and not ledger.account().in_flight)
    account = balanced(running.end().status)[0]
    assert {shot.frame.index for shot in keep.shots} <= sound
    assert all((shot.frame.image == 8).all() and (shot.picture <= 8 / 2 + 142 / 2).all() for shot in keep.shots)
    assert account.inferred + account.reused == len(keep.shots)
    if every:  # the first frames may come before the first mask
        assert account.dropped["filter failed"] >= 1
    else:
        assert account.dropped == {"filter failed": 3} and len(keep.shots) == 3
    (event,) = [event for event in told if event.kind == "filter.failed"]  # once, and not for every frame
    assert event.source == "door" and line in event.data["line"] and event.data["frames"] == 1


class Hold:
    """Carries masks without moving them."""

    def keyframe(self, masked: Masked) -> None:
        self.result = masked.result

    def to(self, frame: Frame) -> Result:  # noqa: ARG002
        return self.result


def test_a_bug_in_a_cameras_own_thread_ends_the_stream_with_its_traceback(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    class Broken(Hold):
        def keyframe(self, masked: Masked) -> None:  # noqa: ARG002
            raise KeyError("a bug")

    camera = make_camera(period=0.01)
    running = Running(LiveLoop([camera], make_model(), [Keep()], LiveOptions(carry=Broken)))
    assert wait_until(lambda: running.error is not None)
    assert isinstance(running.error, KeyError) and camera.stopped


def test_the_model_is_told_whose_frame_it_is_when_it_came_and_how_much_time_there_is(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    door, yard, model = make_camera("door", 0.02), make_camera("yard", 0.04), make_model()
    running = Running(LiveLoop([door, yard], model, [Keep()]))
    assert wait_until(lambda: len(model.moments) > 40 and model.moments[-1].period is not None)
    assert model.moments[0].period is None  # nothing is known of the rate yet
    running.end()
    assert {moment.camera for moment in model.moments} == {"door", "yard"}
    for camera in ("door", "yard"):
        times = [moment.captured_at for moment in model.moments if moment.camera == camera]
        assert times == sorted(set(times))
    last = model.moments[-1].period
    together = 1 / (1 / 0.02 + 1 / 0.04)  # they share the model
    assert last is not None and 0.9 * together < last < 4 * together


def test_several_cameras_have_accounts_and_names_of_their_own(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    door, yard, keep = make_camera("door"), make_camera("yard"), Keep()
    running = Running(LiveLoop([door, yard], make_model(), [keep]))
    for index in range(6):
        (door if index % 3 else yard).give()
        assert wait_until(lambda index=index: len(keep.shots) == index + 1)
    accounts = balanced(running.end().status)
    assert [account.captured for account in accounts] == [4, 2]
    assert {shot.frame.name for shot in keep.shots} == {
        *(f"door-{i:06d}" for i in range(4)),
        "yard-000000",
        "yard-000001",
    }


def test_it_ends_at_the_limit_when_a_window_is_closed_and_when_every_camera_failed(
    make_camera: type[FakeCamera], make_eager_camera: type[EagerCamera], make_model: type[FakeModel]
) -> None:
    keep = Keep()
    summary = LiveLoop([make_eager_camera()], make_model(), [keep], LiveOptions(limit=5)).run(Stop())
    assert summary.ended == "limit" and summary.shown == len(keep.shots) == 5
    balanced(summary.status)

    class Window(Keep):
        in_main_thread = True

        def idle(self) -> None:
            self.wanted = False

    window = Window()
    summary = LiveLoop([make_camera()], make_model(), [window]).run(Stop())
    assert summary.ended == "closed" and window.closed == 1

    class Broken(type(make_camera())):  # type: ignore[misc]
        def start(self) -> None:
            self.state, self.reason = "failed", "codec"

    summary = LiveLoop([Broken()], make_model(), []).run(Stop())
    assert summary.ended == "failed" and summary.status.cameras[0].reason == "codec"


def test_a_window_is_driven_from_the_thread_that_runs_the_stream(
    make_eager_camera: type[EagerCamera], make_model: type[FakeModel]
) -> None:
    class Window(Keep):
        in_main_thread = True

    window, keep = Window(), Keep()
    LiveLoop([make_eager_camera()], make_model(), [window, keep], LiveOptions(limit=20)).run(Stop())
    assert window.threads == {threading.current_thread().name}
    assert keep.threads == {"edgeseg-keep"}


def test_the_model_is_exchanged_between_two_frames(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    from edgeseg_runtime.contract import Contract, Label

    camera, model, keep = make_camera(), make_model(), Keep()
    running = Running(LiveLoop([camera], model, [keep], LiveOptions(opacity=1.0)))
    camera.give()
    assert wait_until(lambda: len(keep.shots) == 1)
    model.contract = Contract((Label("tree", (10, 20, 30)), Label("sky", (40, 50, 60))), 8, 8)
    camera.give()
    assert wait_until(lambda: len(keep.shots) == 2)
    running.end()
    colours = [shot.picture[0, 0].tolist()[::-1] for shot in keep.shots]
    assert colours == [[128, 64, 128], [40, 50, 60]]  # each by the labels of the model that made it


@pytest.mark.parametrize("setting", [{"limit": 0}, {"opacity": 1.5}, {"opacity": -0.1}])
def test_settings_out_of_range_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        LiveOptions(**setting)


def test_it_watches_from_the_calling_thread(make_camera: type[FakeCamera], make_model: type[FakeModel]) -> None:
    seen: list[tuple[str, float]] = []
    stop = Stop()

    def watch(status: Status) -> None:
        seen.append((threading.current_thread().name, status.cameras[0].captured_fps))
        stop.wanted = True

    LiveLoop([make_camera(period=0.005)], make_model(), []).run(stop, watch)
    assert [name for name, _ in seen] == [threading.current_thread().name]
    assert seen[0][1] > 0


def own_memory() -> int:
    """Bytes in memory that no file backs: the system drops pages of programs and libraries, and reads them again."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(status[kind].split()[0]) << 10 for kind in ("RssAnon", "RssShmem"))


def growth(frames: int, leak: int = 0) -> tuple[float, set[tuple[int, int]]]:
    """Return the bytes of memory gained in 10 000 frames, over the second half, and the threads and descriptors."""
    from tests.runtime.live.conftest import EagerCamera, FakeModel

    marks: list[tuple[int, int, int]] = []
    leaked: list[bytes] = []
    step = frames // 10

    class Mark(Keep):
        def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
            if shot.frame.index >= step * (len(marks) + 1):
                gc.collect()
                marks.append((own_memory(), threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))))

    model = FakeModel(lambda _: leaked.append(bytes(leak)) if leak else None)
    model.seen = collections.deque(maxlen=1)  # type: ignore[assignment]
    loop = LiveLoop([EagerCamera()], model, [Mark(backlog=4)], LiveOptions(limit=frames))
    assert balanced(loop.run(Stop()).status)[0].inferred == frames
    memory = [mark[0] for mark in marks[len(marks) // 2 :]]
    return float(np.polyfit(range(len(memory)), memory, 1)[0]) * 10_000 / step, {mark[1:] for mark in marks[1:]}


GROWTH = """
import json, sys
from tests.runtime.live.test_loop import growth
slope, others = growth(int(sys.argv[1]), int(sys.argv[2]))
print(json.dumps([slope, len(others)]))
"""


def growth_in_a_fresh_process(frames: int, leak: int = 0) -> tuple[float, int]:
    """Return the slope of `growth` and how many counts of threads and descriptors there were.

    Thousands of tests in the same process leave threads that end and garbage that moves the peak of its memory.
    """
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(frames), str(leak)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    slope, others = json.loads(done.stdout)
    return float(slope), int(others)


@pytest.mark.parametrize("frames", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_long_stream_keeps_its_memory_threads_and_descriptors(frames: int) -> None:
    slope, others = growth_in_a_fresh_process(frames)
    assert slope < 1e6
    assert others == 1


def test_a_leak_of_a_kilobyte_a_frame_would_be_found() -> None:
    slope, _ = growth_in_a_fresh_process(30_000, leak=1024)
    assert slope > 1e6
