"""Several cameras of which one is dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import pytest

from edgeseg_runtime.capture.options import CaptureOptions
from tests.edgeseg.cli.acceptance.command import Command, wait_until
from tests.servers.base import CameraServer
from tests.servers.mjpeg import MjpegServer
from tests.servers.rtsp import RtspServer
from tests.servers.scene import Scene, read

if TYPE_CHECKING:
    from tests.edgeseg.cli.acceptance.conftest import Start
    from tests.servers.several import Serve

LOSS = 0.01
"""Share of their frames that the others may lose because of a dead one."""
SECONDS = 10.0


def lost(sent: Sequence[int], got: Sequence[int]) -> float:
    """Return the share of pictures that were not shown, of those cameras together."""
    return 1 - sum(got) / sum(sent)


class Count:
    """What cameras sent, and what became of it, between two moments at which nothing is on its way."""

    def __init__(self, command: Command, cameras: Sequence[CameraServer]) -> None:
        self._command, self._cameras = command, cameras
        self._before = self._now()

    def during(self, seconds: float) -> tuple[list[int], list[int]]:
        """Return how many each camera sends in so many seconds, and how many of them are shown with their masks."""
        sent = [camera.sent for camera in self._cameras]
        silence(self._cameras, False)
        time.sleep(seconds)
        silence(self._cameras, True)
        wait_until(self._settled, "the last frames to be shown")
        sent = [camera.sent - before for camera, before in zip(self._cameras, sent, strict=True)]
        return sent, [now - before for now, before in zip(self._now(), self._before, strict=True)]

    def _settled(self) -> bool:
        before = self._now()
        time.sleep(0.3)
        return self._now() == before

    def _now(self) -> list[int]:
        status = self._command.status()
        return [camera["account"]["inferred"] for camera in status["cameras"][: len(self._cameras)]]


def silence(cameras: Sequence[CameraServer], silent: bool) -> None:
    for camera in cameras:
        camera.scene.silent = silent


def shown(start: Start, living: Sequence[CameraServer], dead: Sequence[CameraServer]) -> float:
    """Run the command on living cameras and dead ones, and return the share that the living ones lose."""
    sources = [word for camera in (*living, *dead) for word in ("--source", camera.url)]
    with start(*sources, "--web", 0) as command:
        for place in range(len(living)):
            command.event("source.state", source=f"source{place + 1}", state="live")
        for camera in dead:
            if camera.lit.is_set() and camera.scene.delay == 0:
                command.event("source.state", source=f"source{len(living) + 1}", state="live")
                camera.cut_power()
        silence(living, True)
        time.sleep(0.5)  # what is under way comes in; no camera is missed so soon
        return lost(*Count(command, living).during(SECONDS))


def read_in_turn(living: Sequence[CameraServer], dead: CameraServer) -> float:
    """Return what the living ones lose in the loop that everybody writes first: one frame of each camera in turn."""
    cameras = [dead, *living]
    captures = [cv2.VideoCapture(camera.url, cv2.CAP_FFMPEG) for camera in cameras]
    seen: list[set[int]] = [set() for _ in cameras]
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            for place, capture in enumerate(captures):
                found, image = capture.read()
                if found and (stamp := read(image)) is not None:  # type: ignore[arg-type]
                    seen[place].add(stamp.number)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    time.sleep(1.0)
    dead.cut_power()
    time.sleep(1.0)
    sent, before = [camera.sent for camera in living], [len(numbers) for numbers in seen]
    time.sleep(SECONDS / 2)
    answer = lost(
        [camera.sent - first for camera, first in zip(living, sent, strict=True)],
        [len(now) - first for now, first in zip(seen[1:], before[1:], strict=True)],
    )
    over.set()
    dead.restore_power()
    thread.join(40)
    for capture in captures:
        capture.release()
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("how", ["never answers", "loses its power"])
def test_a_dead_camera_costs_three_others_nothing(how: str, camera_server: Serve, start: Start) -> None:
    """Their share of a model that is too slow for all, with clocks that stand still: `live/test_schedule.py`."""
    living: list[CameraServer] = [
        camera_server(MjpegServer, Scene(fps=8)),
        camera_server(RtspServer, Scene(fps=8)),
        camera_server(MjpegServer, Scene(fps=8)),
    ]
    dead = camera_server(RtspServer, Scene(fps=8, delay=600 if how == "never answers" else 0))
    assert CaptureOptions().read_timeout > 2.0  # silences between the phases are short enough to keep connections
    alone = shown(start, living, [])
    silence(living, False)
    assert shown(start, living, [dead]) <= alone + LOSS


@pytest.mark.slow
def test_read_in_turn_a_dead_camera_costs_the_others_nearly_everything(camera_server: Serve) -> None:
    """The negative control."""
    living: list[CameraServer] = [camera_server(MjpegServer, Scene(fps=8)) for _ in range(2)]
    assert read_in_turn(living, camera_server(RtspServer, Scene(fps=8))) > 0.5
