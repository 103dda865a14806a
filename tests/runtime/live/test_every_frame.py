from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgeseg_runtime.live.account import Account
from edgeseg_runtime.live.base import InferenceFailed
from edgeseg_runtime.live.loop import LiveLoop, LiveOptions
from edgeseg_runtime.live.summary import LiveSummary
from edgeseg_runtime.live.track import Masked
from edgeseg_runtime.pipeline import Stop
from edgeseg_runtime.result import Result, SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sources.base import Frame

if TYPE_CHECKING:
    from tests.runtime.live.conftest import FakeCamera, FakeModel

Wait = Callable[..., bool]


class Keep(Sink[None]):
    backlog = 10_000

    def __init__(self) -> None:
        self.shots: list[Shot] = []

    def encode(self, shot: Shot) -> None:
        self.shots.append(shot)

    def write(self, shot: Shot, encoded: None) -> None: ...

    def close(self) -> None: ...


class Shift:
    """Carries a mask by adding, to each pixel, how many frames old it is; not further than `reach` frames."""

    reach = 1000

    def __init__(self) -> None:
        self.key: Masked | None = None

    def keyframe(self, masked: Masked) -> None:
        self.key = masked

    def to(self, frame: Frame) -> Result | None:
        assert self.key is not None
        distance = frame.index - self.key.frame.index
        if distance > self.reach:
            return None
        old = self.key.result
        return SemanticResult(old.mask + np.uint8(distance), old.contract, old.times)


class Run:
    def __init__(self, cameras: list[FakeCamera], model: FakeModel, options: LiveOptions) -> None:
        self.keep, self.stop = Keep(), Stop()
        self.loop = LiveLoop(cameras, model, [self.keep], options)
        self.summary: LiveSummary | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.summary = self.loop.run(self.stop)

    def end(self) -> Account:
        self.stop.wanted = True
        self._thread.join(20)
        assert self.summary is not None
        account = self.summary.status.cameras[0].account
        assert account.in_flight == 0
        return account


def slow(gate: threading.Event) -> Callable[[int], None]:
    """A model that takes frame 0 at once and then stays at the next one until the gate opens."""

    def work(index: int) -> None:
        if index:
            gate.wait(20)

    return work


def test_every_frame_is_shown_while_the_model_is_still_at_an_earlier_one(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    gate = threading.Event()
    camera, model = make_camera(), make_model(slow(gate))
    run = Run([camera], model, LiveOptions(carry=Shift))
    camera.give()
    assert wait_until(lambda: model.seen == [0])
    for index in range(1, 10):
        camera.give()
        assert wait_until(lambda index=index: run.loop.tracks[0].ledger.account().captured == index + 1)
        assert wait_until(lambda: run.loop.tracks[0].ledger.account().in_flight == 0)
    shots = run.keep.shots
    assert wait_until(lambda: len(shots) >= 9)
    assert [shot.frame.index for shot in shots][-9:] == list(range(1, 10))
    for shot in shots[-9:]:
        assert not shot.fresh and shot.masked_at is not None and shot.masked_at < shot.frame.captured_at
        np.testing.assert_array_equal(shot.result.mask, shot.frame.index)  # frame 0's mask, moved on
    gate.set()
    assert wait_until(lambda: 9 in model.seen)  # the newest one went through next, those between never
    assert model.seen in ([0, 1, 9], [0, 2, 9])
    account = run.end()
    assert account.reused >= 9 and account.failed == 0 and "overtaken" not in account.dropped

    # the negative control: without carrying, frames that come meanwhile are overtaken
    gate = threading.Event()
    camera, model = make_camera(), make_model(slow(gate))
    run = Run([camera], model, LiveOptions())
    camera.give()
    assert wait_until(lambda: model.seen == [0])
    for _ in range(9):
        camera.give()
    gate.set()
    assert wait_until(lambda: run.loop.tracks[0].ledger.account().captured == 10)
    assert run.end().dropped.get("overtaken", 0) >= 7


def test_a_quick_model_gives_frames_their_own_masks(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    camera, model = make_camera(), make_model()
    run = Run([camera], model, LiveOptions(carry=Shift))
    track = run.loop.tracks[0]
    track.tick(0.0)
    for index in range(12):
        camera.give()
        assert wait_until(lambda index=index: len(model.seen) == index + 1)
        track._captured_rate.mark(camera.captured, float(index + 1) * 10)  # one frame each ten seconds
        assert wait_until(lambda: track.ledger.account().in_flight == 0)
    account = run.end()
    assert account.captured == 12 and account.inferred >= 9  # the first ones taught it how quick the model is
    for shot in run.keep.shots:
        if shot.fresh:
            assert shot.masked_at == shot.frame.captured_at
            np.testing.assert_array_equal(shot.result.mask, shot.frame.index % 2)


def test_without_a_mask_young_enough_nothing_is_shown(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    class Short(Shift):
        reach = 3

    gate = threading.Event()
    camera, model = make_camera(), make_model(slow(gate))
    run = Run([camera], model, LiveOptions(carry=Short))
    camera.give()
    assert wait_until(lambda: model.seen == [0])
    for index in range(1, 8):
        camera.give()
        assert wait_until(lambda index=index: run.loop.tracks[0].ledger.account().captured == index + 1)
        assert wait_until(lambda: run.loop.tracks[0].ledger.account().in_flight == 0)
    gate.set()
    account = run.end()
    assert account.dropped["no mask"] >= 4
    assert all(shot.frame.index <= 3 for shot in run.keep.shots)


def test_failures_of_the_model_leave_the_picture_running(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    def work(index: int) -> None:
        if index:
            raise InferenceFailed("a NaN")

    camera, model = make_camera(), make_model(work)
    run = Run([camera], model, LiveOptions(carry=Shift))
    camera.give()
    assert wait_until(lambda: model.seen == [0])
    for index in range(1, 6):
        camera.give()
        assert wait_until(lambda index=index: run.loop.tracks[0].ledger.account().captured == index + 1)
    account = run.end()
    assert account.captured == 6 and account.inferred + account.reused >= 5 and account.failed == 0


def test_a_mask_of_another_size_is_not_shown_after_the_camera_changed(
    make_camera: type[FakeCamera], make_model: type[FakeModel], wait_until: Wait
) -> None:
    from edgeseg_runtime.live.presenter import fits

    camera, model = make_camera(), make_model()
    camera.give()
    frame = camera.newest(-1)
    assert frame is not None
    assert fits(Masked(frame, model.infer(frame.image)), frame)
    other = SemanticResult(np.zeros((4, 4), np.uint8), model.contract, StageTimes(0, 0, 0))
    assert not fits(Masked(frame, other), frame)
