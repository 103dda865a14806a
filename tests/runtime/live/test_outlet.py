"""What an output that fails tells, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import LostFrameError, OutputError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.live import outlet as outlet_module
from edgeseg_runtime.live.outlet import QUIET_SECONDS, Outlet
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sources.base import Frame


class Broken(Sink[None]):
    """Fails with what it is told to."""

    name = "broken"
    in_main_thread = True

    def __init__(self) -> None:
        self.error: Exception | None = None

    def encode(self, shot: Shot) -> None: ...

    def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
        if self.error is not None:
            raise self.error

    def close(self) -> None: ...


class Scene:
    """An output whose clock stands still unless it is moved on."""

    def __init__(self, contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.told, self.sink = 100.0, list[Event](), Broken()
        monkeypatch.setattr(outlet_module, "monotonic", lambda: self.now)
        events = Events()
        events.subscribe(self.told.append)
        self.outlet = Outlet(self.sink, events)
        frame = Frame(0, np.zeros((4, 4, 3), np.uint8), 0.0, None, "0")
        mask = SemanticResult(np.zeros((4, 4), np.uint8), contract, StageTimes(0, 0, 0))
        self._shot = Shot(frame, mask, color_table(contract), 0.5)

    def put(self, error: Exception | None, seconds: float, times: int = 1) -> None:
        """Let it write, or fail with an error, every so many seconds."""
        self.sink.error = error
        for _ in range(times):
            self.now += seconds
            self.outlet.put(self._shot)
            self.outlet.pump(0)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.told]


@pytest.fixture
def scene(colour_contract: Contract, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(colour_contract, monkeypatch)


def test_one_event_says_that_an_output_begins_to_fail_and_one_that_it_works_again(scene: Scene) -> None:
    scene.put(None, 1.0, 3)
    scene.put(OutputError("the disk is full"), 1.0, 60)
    assert scene.kinds == ["output.failed"]
    assert scene.told[0].data == {"output": "broken", "error": "the disk is full"}
    scene.put(None, 1.0, 4)
    assert scene.kinds == ["output.failed"]
    scene.put(None, 1.0, 20)
    assert scene.kinds == ["output.failed", "output.resumed"]
    assert scene.told[1].data == {"output": "broken"}
    scene.put(OutputError("the disk is full"), 1.0)
    assert scene.kinds == ["output.failed", "output.resumed", "output.failed"]
    status = scene.outlet.status()
    assert (status.written, status.dropped) == (27, {"failed": 61})


def test_an_output_that_fails_now_and_then_has_not_recovered(scene: Scene) -> None:
    for _ in range(30):
        scene.put(OutputError("the disk is full"), QUIET_SECONDS / 4)
        scene.put(None, QUIET_SECONDS / 4, 2)
    assert scene.kinds == ["output.failed"]


def test_what_an_output_tells_of_itself_is_only_counted(scene: Scene) -> None:
    scene.put(LostFrameError("not recorded: the disk is full"), 1.0, 30)
    assert scene.kinds == []
    status = scene.outlet.status()
    assert status.dropped == {"failed": 30} and status.error == "not recorded: the disk is full"
