"""Models slower than their camera, always or for a while: what is shown stays new, and the memory flat."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.segmenter import Segmenter
from tests.edgeseg.cli.acceptance.command import Command, wait_until
from tests.edgeseg.cli.acceptance.looker import Look, Looker
from tests.edgeseg.cli.acceptance.slow_model import write_slow_model
from tests.servers.mjpeg import MjpegServer
from tests.servers.scene import Scene, read

if TYPE_CHECKING:
    from tests.edgeseg.cli.acceptance.conftest import Start
    from tests.servers.several import Serve

pytestmark = pytest.mark.slow
FPS = 30
ON_THE_WAY = 0.15
"""Seconds that a busy machine may take from the camera to the page besides the model."""


class Queue:
    """Read, queue, run: the loop that loses nothing, as the judges' control."""

    def __init__(self, url: str, model: Path) -> None:
        self.looks: list[Look] = []
        self.most_bytes = 0
        self._queue: queue.Queue[Image | None] = queue.Queue()
        self._capture, self._model = cv2.VideoCapture(url, cv2.CAP_FFMPEG), Segmenter.load(model, threads=1)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._run)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)
        self._capture.release()

    def _read(self) -> None:
        while not self._over.is_set() and (one := self._capture.read())[0]:
            image: Image = one[1]  # type: ignore[assignment]
            self._queue.put(image)
            self.most_bytes = max(self.most_bytes, self._queue.qsize() * image.nbytes)
        self._queue.put(None)

    def _run(self) -> None:
        while not self._over.is_set() and (image := self._queue.get()) is not None:
            self._model(image)
            stamp, now = read(image), time.monotonic()
            assert stamp is not None
            size = (image.shape[0], image.shape[1])
            self.looks.append(Look(now, stamp, size, now - stamp.made_at, now - stamp.made_at))


def keeps_up(looks: list[Look], inference: float) -> bool:
    """Judge pictures of a while: no mask older than its inference and 1.2 frame times, but for the way."""
    oldest = sorted(look.shown_at - look.mask_made_at for look in looks)[int(0.99 * len(looks))]
    return oldest <= inference + 1.2 / FPS + ON_THE_WAY


def test_masks_of_a_model_three_times_slower_than_the_camera_do_not_grow_older(
    camera_server: Serve, start: Start, tmp_path: Path, colour_contract: Contract
) -> None:
    """With clocks that stand still: `tests/runtime/live/test_schedule.py`."""
    camera = camera_server(MjpegServer, Scene(fps=FPS))
    model = write_slow_model(tmp_path / "slow.onnx", colour_contract, 3 / FPS)
    command = start("--source", f"door={camera.url}", "--web", 0, model=model)
    with Looker(command.address, "door") as looker:
        looker.wait(lambda look: look.stamp is not None)
        began = time.monotonic()
        time.sleep(8.0)
        status = command.status()
        looks = looker.since(began)
    inference = status["stages"]["infer"]["p99"] / 1e3
    assert inference > 2 / FPS
    assert len(looks) > 8.0 / inference / 2
    assert keeps_up(looks, inference)
    account = status["cameras"][0]["account"]
    assert account["dropped"]["overtaken"] > account["inferred"]
    assert command.send(signal.SIGTERM) <= 2.0
    with Queue(camera.url, model) as control:
        time.sleep(8.0)
    assert not keeps_up(control.looks, inference)


SLOWER = 30
BASE = 0.008
"""Seconds of an ordinary inference."""
RECOVERY = 1.0
"""Seconds after which everything is as it was."""
FLAT_BYTES = 20_000_000
"""Twenty frames of 480×640."""


def recovered(looks: list[Look], over_at: float, until: float) -> bool:
    """Judge the pictures made after a slow time: from `RECOVERY` on nearly all are shown, and none is old."""
    numbers = [look.stamp.number for look in looks if look.stamp and over_at + RECOVERY < look.made_at < until]
    ages = [look.shown_at - look.mask_made_at for look in looks if over_at + RECOVERY < look.shown_at < until]
    if len(numbers) < 2:
        return False
    return len(numbers) >= 0.9 * (numbers[-1] - numbers[0] + 1) and max(ages) <= BASE + 1.2 / FPS + ON_THE_WAY


def used(command: Command) -> int:
    """Return the bytes of private memory that all processes of a command take."""
    total = 0
    for pid in (command.process.pid, *command.children()):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
    return total


def glare(camera: MjpegServer, look: Callable[[], None]) -> tuple[float, float]:
    """Blind the camera for a while, and look on until a while after; return when that began and ended."""
    camera.scene.bright = True
    began_at = time.monotonic()
    while time.monotonic() < began_at + 6.0:
        time.sleep(0.1)
        look()
    camera.scene.bright = False
    over_at = time.monotonic()
    while time.monotonic() < over_at + RECOVERY + 2.0:
        time.sleep(0.1)
        look()
    return began_at, over_at


def test_a_model_thirty_times_slower_for_a_while_is_forgotten_a_second_later(
    camera_server: Serve, start: Start, tmp_path: Path, colour_contract: Contract
) -> None:
    camera = camera_server(MjpegServer, Scene(fps=FPS, size=(480, 640)))
    model = write_slow_model(tmp_path / "slow.onnx", colour_contract, BASE, SLOWER)
    command = start("--source", f"door={camera.url}", "--web", 0, model=model)
    with Looker(command.address, "door") as looker:
        wait_until(lambda: len(looker.looks) > 60, "pictures")
        taken = [used(command)]
        began_at, over_at = glare(camera, lambda: taken.append(used(command)))
        until = time.monotonic() - 0.3
        looks = list(looker.looks)
    assert command.kinds("model.failed") == []
    assert command.send(signal.SIGTERM) <= 2.0
    slow = [look for look in looks if began_at + 1.0 < look.received_at < over_at]
    assert 5 <= len(slow) <= 6.0 / BASE / SLOWER * 2
    assert recovered(looks, over_at, until)
    assert max(taken) - taken[0] < FLAT_BYTES
    with Queue(camera.url, model) as control:
        wait_until(lambda: len(control.looks) > 30, "pictures")
        _, over_at = glare(camera, lambda: None)
    assert control.most_bytes > FLAT_BYTES
    assert not recovered(control.looks, over_at, over_at + RECOVERY + 1.7)
