"""Cameras that go, change and lose their reader, while the whole command runs and somebody looks."""

from __future__ import annotations

import os
import signal
import threading
import time
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from tests.edgeseg.cli.acceptance.command import alive, wait_until
from tests.edgeseg.cli.acceptance.looker import Look, Looker
from tests.edgeseg.cli.acceptance.recordings import Recording, in_order, played, recordings
from tests.servers.base import CameraServer
from tests.servers.mjpeg import MjpegServer
from tests.servers.rtsp import RtspServer
from tests.servers.scene import Scene, Stamp, draw, read

if TYPE_CHECKING:
    from tests.edgeseg.cli.acceptance.conftest import Start
    from tests.servers.several import Serve

NOTICED, BACK = 1.0, 2.0
"""Seconds: the most until an absence is noticed, and from the return to a fresh mask."""
OLD = 0.6
"""Seconds: a picture of this age is not what the camera sees now. A busy machine's delays are well below."""


def complaints(looks: list[Look], left_at: float, noticed_at: float, back_at: float) -> list[str]:
    """Judge an absence of a camera by the pictures that were shown from then on. Moments on the monotonic clock."""
    found = []
    if noticed_at - left_at > NOTICED:
        found.append(f"noticed after {noticed_at - left_at:.2f} s")
    if any(look.stamp is None for look in looks):
        found.append("a picture that the camera never made")
    good = [look for look in looks if look.stamp is not None]
    if any(look.age > OLD for look in good):
        found.append(f"a picture {max(look.age for look in good):.2f} s old")
    fresh = [look.shown_at for look in good if look.mask_made_at > back_at]
    if min(fresh, default=inf) - back_at > BACK:
        found.append("no fresh mask after the return")
    return found


class Plain:
    """The loop that everybody writes first, as a judge's control: reads, shows, opens again when a read fails."""

    def __init__(self, url: str) -> None:
        self.looks: list[Look] = []
        self.noticed_at = inf
        self._url, self._over = url, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(40)

    def _run(self) -> None:
        while not self._over.is_set():
            capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG)
            while not self._over.is_set() and (read_one := capture.read())[0]:
                image = read_one[1]
                self.looks.append(Look(time.monotonic(), read(image), image.shape[:2], 0.0, 0.0))  # type: ignore[arg-type]
            self.noticed_at = min(self.noticed_at, time.monotonic())
            capture.release()
            self._over.wait(0.2)


@pytest.mark.parametrize(
    ("kind", "without_a_word", "seconds"),
    [
        pytest.param(RtspServer, True, 10.0, marks=pytest.mark.slow),
        pytest.param(MjpegServer, True, 10.0, marks=pytest.mark.slow),
        pytest.param(RtspServer, False, 10.0, marks=pytest.mark.slow),
        pytest.param(MjpegServer, False, 10.0, marks=pytest.mark.slow),
    ],
)
def test_a_camera_that_goes_is_missed_at_once_and_seen_as_soon_as_it_is_back(
    kind: type[CameraServer], without_a_word: bool, seconds: float, camera_server: Serve, start: Start
) -> None:
    """With a word it hangs up and refuses; without one its packets stop, and nothing at its address answers."""
    camera = camera_server(kind, Scene(fps=40))
    command = start("--source", f"door={camera.url}", "--web", 0)
    with Looker(command.address, "door") as looker, Plain(camera.url) as plain:
        wait_until(lambda: len(looker.looks) > 80 and len(plain.looks) > 10, "a steady stream")
        left_at, left_at_wall = time.monotonic(), time.time()
        camera.cut_power() if without_a_word else camera.down()
        state = "stalled" if without_a_word else "reconnecting"
        noticed_at = left_at + command.event("source.state", left_at_wall, state=state)["at"] - left_at_wall
        time.sleep(seconds)
        back_at = time.monotonic()
        camera.restore_power() if without_a_word else camera.up()
        looker.wait(lambda look: look.stamp is not None and look.made_at > back_at)
        looks = looker.since(left_at)
        assert complaints(looks, left_at, noticed_at, back_at) == []
        assert not [look for look in looks if left_at + OLD < look.received_at < back_at]
        assert looker.ended is None
        if without_a_word:  # the control
            looks = [look for look in plain.looks if look.received_at > left_at]
            blamed = complaints(looks, left_at, plain.noticed_at, back_at)
            assert any("noticed" in one for one in blamed), blamed
    assert command.send(signal.SIGTERM) <= 2.0 and command.process.returncode == 0


def changed(looks: list[Look], ended: str | None, kills: list[float]) -> list[str]:
    """Judge a viewer whose camera lost its reader at some moments: what does not go on as it should."""
    found = [] if ended is None else [f"the connection ended: {ended}"]
    for killed_at in kills:
        fresh = [look.shown_at for look in looks if look.stamp is not None and look.made_at > killed_at]
        if min(fresh, default=inf) - killed_at > 2 * BACK:
            found.append(f"no picture after the kill at {killed_at:.1f}")
    if any(look.stamp is None or look.age > OLD for look in looks):
        found.append("an old picture, or none that the camera made")
    return found


@pytest.mark.parametrize(("kills", "pause"), [(2, 0.5), pytest.param(8, 3.0, marks=pytest.mark.slow)])
def test_a_page_stays_connected_while_what_reads_its_camera_is_killed_again_and_again(
    kills: int, pause: float, camera_server: Serve, start: Start
) -> None:
    camera = camera_server(RtspServer)
    command = start("--source", f"door={camera.url}", "--web", 0)
    moments: list[float] = []
    with Looker(command.address, "door") as looker:
        looker.wait(lambda look: look.stamp is not None)
        for _ in range(kills):
            time.sleep(pause)
            (worker,) = command.workers()
            wall = time.time()
            moments.append(time.monotonic())
            os.kill(worker, signal.SIGKILL)
            command.event("source.state", wall, reason="worker died")
            looker.wait(lambda look: look.stamp is not None and look.made_at > moments[-1])
            assert not alive(worker)
        frames = [look.stamp for look in looker.looks]
        assert changed(looker.looks, looker.ended, moments) == []
        assert len(command.workers()) == 1
        assert len(frames) > 5 * kills
        # The control: where what reads and what serves are one process, the same kill ends both.
        moments.append(time.monotonic())
        command.send(signal.SIGKILL)
        wait_until(lambda: looker.ended is not None, "the end of the connection")
        assert len(changed(looker.looks, looker.ended, moments)) == 2


def sound(found: list[Recording], sizes: list[tuple[int, int]], shown: int) -> bool:
    """Judge recordings: a file for each size, in order, and in them nearly all that was shown, each picture once."""
    held = sum(len(one.moments) for one in found)
    return in_order(found) and [one.sizes for one in found] == [{size} for size in sizes] and held >= 0.9 * shown


CHANGES = [
    {"size": (120, 160)},
    {"size": (96, 128), "gray": True},
    {"fps": 10.0, "gray": False},
    {"size": (240, 320), "fps": 30.0},
]
"""What is another way each time the camera comes back."""


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (MjpegServer, CHANGES[:2]),
        pytest.param(MjpegServer, CHANGES, marks=pytest.mark.slow),
        pytest.param(RtspServer, CHANGES, marks=pytest.mark.slow),
    ],
)
def test_a_camera_that_comes_back_another_one_is_recorded_in_files_of_one_size_and_shown_on(
    kind: type[CameraServer],
    changes: list[dict[str, object]],
    camera_server: Serve,
    start: Start,
    tmp_path: Path,
) -> None:
    camera, rec = camera_server(kind), tmp_path / "rec"
    command = start("--source", f"door={camera.url}", "--web", 0, "--record", rec, "--opacity", 0)
    sizes = [camera.scene.size]
    with Looker(command.address, "door") as looker:
        looker.wait(lambda look: look.stamp is not None)
        for change in changes:
            time.sleep(0.5)
            camera.down()
            for name, value in change.items():
                setattr(camera.scene, name, value)
            if camera.scene.size != sizes[-1]:
                sizes.append(camera.scene.size)
            back_at = time.monotonic()
            camera.up()
            first = looker.wait(lambda look, back_at=back_at: look.stamp is not None and look.made_at > back_at)  # type: ignore[misc]
            assert first.size == camera.scene.size and first.shown_at - back_at <= BACK
        time.sleep(0.5)
        assert looker.ended is None and all(look.stamp is not None for look in looker.looks)
    assert command.send(signal.SIGTERM) <= 2.0
    assert sound(recordings(rec), sizes, len(looker.looks))
    assert not list(rec.glob(".*"))


def test_one_file_for_all_sizes_would_lose_pictures_without_a_word(tmp_path: Path) -> None:
    """The negative control."""
    sizes, path = [(96, 128), (120, 160)], tmp_path / "plain.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (128, 96))
    for number in range(20):
        writer.write(draw(Stamp(number, number / 25), sizes[number // 10]))
    writer.release()
    assert not sound([played(path)], sizes, 20)
    assert not sound([played(path)], sizes[:1], 20)
    assert sound([played(path)], sizes[:1], 10)
