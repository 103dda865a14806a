"""Cameras and models that do exactly what a test says."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Event, Thread

import numpy as np
import pytest

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.live.base import ModelNotReady, Moment
from edgeseg_runtime.live.status import ModelStatus
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sources.base import Frame

CONTRACT = Contract((Label("road", (128, 64, 128)), Label("car", (0, 0, 142))), 8, 8)


def picture(index: int) -> Image:
    """A small picture that holds its own number."""
    image = np.zeros((8, 8, 3), np.uint8)
    image.reshape(-1)[:4] = np.frombuffer(np.uint32(index).tobytes(), np.uint8)
    return image


def number(image: Image) -> int:
    return int(np.frombuffer(image.reshape(-1)[:4].tobytes(), np.uint32)[0])


class FakeCamera:
    """Gives frames when told to (`give`), or by a thread of its own with a period."""

    size: tuple[int, int] | None = (8, 8)

    def __init__(self, name: str = "door", period: float | None = None, title: str = "fake") -> None:
        self.name, self.title, self.period = name, title, period
        self.on_frame: Callable[[], None] | None = None
        self.state, self.reason, self.since = "connecting", None, time.monotonic()
        self.captured, self.stopped = 0, 0
        self._newest: tuple[int, float] = (-1, 0.0)
        self._over = Event()

    def give(self, at: float | None = None) -> None:
        self._newest = (self.captured, time.monotonic() if at is None else at)
        self.captured += 1
        if self.on_frame is not None:
            self.on_frame()

    def start(self) -> None:
        self.state = "live"
        if self.period is not None:
            Thread(target=self._run, daemon=True).start()

    def newest(self, after: int) -> Frame | None:
        index, at = self._newest
        if index <= after:
            return None
        return Frame(index, picture(index), at, None, f"{index:06d}", self.name)

    def stop(self, timeout: float) -> None:  # noqa: ARG002
        self._over.set()
        self.stopped += 1

    def _run(self) -> None:
        assert self.period is not None
        while not self._over.wait(self.period):
            self.give()


class EagerCamera(FakeCamera):
    """Has the next frame ready as soon as one is taken."""

    def newest(self, after: int) -> Frame | None:
        frame = super().newest(after)
        self.give()
        return frame

    def start(self) -> None:
        super().start()
        self.give()


class FakeModel:
    """Answers with the frame's number as the mask's first pixels; `work` is called first, and may wait or raise."""

    contract = CONTRACT

    def __init__(self, work: Callable[[int], None] = lambda _: None) -> None:
        self.work = work
        self.seen: list[int] = []
        self.moments: deque[Moment] = deque(maxlen=1000)
        self.closed = 0

    def infer(self, frame: Image, moment: Moment | None = None) -> SemanticResult:
        if self.closed:
            raise ModelNotReady
        if moment is not None:
            self.moments.append(moment)
        index = number(frame)
        self.work(index)
        self.seen.append(index)
        mask = np.full(frame.shape[:2], index % 2, np.uint8)
        return SemanticResult(mask, self.contract, StageTimes(1e-4, 2e-3, 1e-4))

    def status(self) -> ModelStatus:
        return ModelStatus("fake", "fake.onnx", "fake", "cpu", "float32", False, 0)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def make_camera() -> type[FakeCamera]:
    return FakeCamera


@pytest.fixture
def make_eager_camera() -> type[EagerCamera]:
    return EagerCamera


@pytest.fixture
def make_model() -> type[FakeModel]:
    return FakeModel


@pytest.fixture
def wait_until() -> Callable[..., bool]:
    def wait(true: Callable[[], bool], seconds: float = 20) -> bool:
        end = time.monotonic() + seconds
        while not (done := true()) and time.monotonic() < end:
            time.sleep(0.002)
        return done

    return wait
