"""Cameras on short clocks, and somebody who looks at them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pytest

from edgeseg_runtime.capture.camera import Camera
from edgeseg_runtime.capture.complaints import printed
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.events import Event, Events
from tests.servers.scene import Stamp, read
from tests.servers.several import Serve, camera_servers

FAST = CaptureOptions(
    connect_timeout=3.0,
    read_timeout=1.2,
    stall_after=0.5,
    frozen_after=0.8,
    backoff_first=0.05,
    backoff_absent=0.2,
    backoff_most=0.4,
    report_every=0.2,
    heartbeat=0.1,
    heartbeat_timeout=1.5,
)
PATIENCE = 20.0
"""Seconds after which something that should come about at once is taken to have failed: the machine may be busy."""


@dataclass(frozen=True)
class Seen:
    """A frame that was shown."""

    index: int
    stamp: Stamp | None
    """What its picture says; None where it is damaged or black."""
    age: float
    """Seconds since the picture was made, when it was shown."""
    captured_at: float


class Watched:
    """A camera, its events, and what it showed."""

    def __init__(self, camera: Camera, events: list[Event]) -> None:
        self.camera, self.events = camera, events
        self._after = -1

    def look(
        self, seconds: float = PATIENCE, until: Callable[[], bool] = lambda: False, frames: int = 1 << 30
    ) -> list[Seen]:
        """Look at every newest frame until there is no reason to any more."""
        seen: list[Seen] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end and len(seen) < frames and not until():
            frame = self.camera.newest(self._after)
            if frame is None:
                time.sleep(0.002)
                continue
            self._after = frame.index
            stamp = read(frame.image)
            age = time.monotonic() - stamp.made_at if stamp else float("nan")
            seen.append(Seen(frame.index, stamp, age, frame.captured_at))
        return seen

    def live(self) -> Seen:
        """Wait for the next frame and return it."""
        seen = self.look(frames=1)
        assert seen, f"no frame: {self.camera}, {self.camera.reason}, {self.told('source.state')}"
        return seen[0]

    def wait(self, state: str, reason: str | None = None, seconds: float = PATIENCE) -> float:
        """Wait for a state, and return since when it holds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.camera.state == state and reason in (None, self.camera.reason):
                return self.camera.since
            time.sleep(0.005)
        raise AssertionError(f"not {state} {reason}: {self.camera} {self.camera.reason}, {self.told('source.state')}")

    def told(self, kind: str) -> list[dict[str, object]]:
        """Return the data of the events of one kind."""
        return [dict(event.data) for event in list(self.events) if event.kind == kind]


class Watch(Protocol):
    """Starts a camera; see `watch`."""

    def __call__(self, spec: str | int, options: CaptureOptions = FAST, *, start: bool = True) -> Watched: ...


@pytest.fixture(autouse=True)
def give_stderr_back() -> Iterator[None]:
    """What a worker keeps for good is taken for one test only."""
    yield
    if printed.cache_info().currsize:
        printed().close()
        printed.cache_clear()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Return a function that starts a camera and listens to its events; all are stopped at the end."""
    cameras: list[Camera] = []

    def make(spec: str | int, options: CaptureOptions = FAST, *, start: bool = True) -> Watched:
        events, told = Events(), list[Event]()
        events.subscribe(told.append)
        camera = Camera("door", spec, events, options)
        cameras.append(camera)
        if start:
            camera.start()
        return Watched(camera, told)

    yield make
    for camera in cameras:
        camera.stop(5.0)


@pytest.fixture
def camera_server() -> Iterator[Serve]:
    """Return a function that makes a server of a kind, with its scene; all go at the end."""
    with camera_servers() as make:
        yield make
