"""Outputs in trouble, which are nobody else's: a disk that takes nothing, viewers that mean harm."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.edgeseg.cli.acceptance.command import Command, wait_until
from tests.edgeseg.cli.acceptance.looker import Look, Looker
from tests.edgeseg.cli.acceptance.recordings import in_order, recordings
from tests.runtime.web.clients import connect
from tests.runtime.web.crowd import SlowPage, SlowSocket, connect_and_leave, slow_stream_readers
from tests.servers.mjpeg import MjpegServer
from tests.servers.scene import Scene, Stamp

if TYPE_CHECKING:
    from tests.edgeseg.cli.acceptance.conftest import Start
    from tests.servers.several import Serve

pytestmark = pytest.mark.slow
OLD = 0.6
"""Seconds: the most that a picture may be old, and that may lie between two. A busy machine's delays are well below."""


def goes_on(looks: list[Look], began_at: float, ended_at: float) -> bool:
    """Judge what somebody saw between two moments: new pictures, and no pause."""
    seen = [look for look in looks if began_at <= look.shown_at <= ended_at]
    moments = [began_at, *(look.shown_at for look in seen), ended_at]
    return all(later - earlier <= OLD for earlier, later in pairwise(moments)) and all(look.age <= OLD for look in seen)


Disk = tuple[Callable[[Command], None], Callable[[Command], None], Path]
"""What fills it up, what makes room again, and where it is."""


@pytest.fixture(params=["may not grow", "is full"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Files that may not grow need no rights; a disk that is full must be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if request.param == "may not grow":

        def allow(command: Command, most: int) -> None:
            hard = resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (most, hard))

        yield lambda command: allow(command, 1), lambda command: allow(command, resource.RLIM_INFINITY), place
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={32 << 20}", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine lets us mount nothing: {mounted.stderr.strip()}")
    filler = place / "filler"

    def fill(_: Command) -> None:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    yield fill, lambda _: filler.unlink(), place
    subprocess.run(["umount", "-l", str(place)], check=True)


def record_status(command: Command) -> dict[str, Any]:
    (record,) = (output for output in command.status()["outputs"] if output["name"] == "record")
    return dict(record)


def test_a_disk_that_takes_nothing_stops_the_recording_and_nothing_else(
    disk: Disk, camera_server: Serve, start: Start
) -> None:
    fill, make_room, place = disk
    camera, rec = camera_server(MjpegServer), place / "rec"
    command = start("--source", f"door={camera.url}", "--web", 0, "--record", rec, "--opacity", 0)
    with Looker(command.address, "door") as looker:
        wait_until(lambda: len(looker.looks) > 40, "pictures")
        full_at, full_wall = time.monotonic(), time.time()
        fill(command)
        assert command.event("record.failed", full_wall)["at"] - full_wall <= 1.0
        time.sleep(1.0)
        before = record_status(command)
        time.sleep(1.0)
        after = record_status(command)
        room_at, room_wall = time.monotonic(), time.time()
        make_room(command)
        command.event("record.resumed", room_wall)
        time.sleep(1.0)
        assert goes_on(looker.looks, full_at, time.monotonic() - OLD)
        looks = list(looker.looks)
    assert after["written"] == before["written"]  # what is not recorded is not called written
    assert after["dropped"]["failed"] > before["dropped"]["failed"]
    assert len(command.kinds("record.failed")) == 1
    written = record_status(command)["written"]
    assert command.send(signal.SIGTERM) <= 2.0
    held = recordings(rec)
    moments = [moment for one in held for moment in one.moments]
    assert in_order(held) and not list(rec.glob(".*"))
    assert written - 2 <= len(moments)
    assert any(full_at - 1.0 <= moment <= full_at + 0.1 for moment in moments)
    assert any(moment > room_at for moment in moments)
    shown = [look for look in looks if look.made_at < full_at - 1.0]
    assert len([moment for moment in moments if moment < full_at - 1.0]) >= 0.9 * len(shown)


IN_LINE = """
import sys, time, cv2
from tests.servers.scene import read

capture, file = cv2.VideoCapture(sys.argv[1], cv2.CAP_FFMPEG), open(sys.argv[2], "wb", buffering=0)
while True:
    image = capture.read()[1]
    file.write(image)
    print(read(image).number, read(image).made_at, time.monotonic(), flush=True)
"""


def test_a_loop_that_writes_for_itself_ends_when_the_disk_takes_nothing(camera_server: Serve, tmp_path: Path) -> None:
    """The negative control."""
    camera, looks = camera_server(MjpegServer), list[Look]()
    program = [sys.executable, "-c", IN_LINE, camera.url, str(tmp_path / "raw")]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as naive:
        assert naive.stdout is not None
        full_at = 0.0
        for line in naive.stdout:
            number, made_at, now = map(float, line.split())
            looks.append(Look(now, Stamp(int(number), made_at), camera.scene.size, now - made_at, now - made_at))
            if len(looks) == 40:
                full_at = time.monotonic()
                resource.prlimit(naive.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    assert goes_on(looks, looks[10].shown_at, looks[39].shown_at)
    assert not goes_on(looks, full_at, full_at + 2.0)


def test_viewers_that_mean_harm_cost_a_healthy_one_nothing(camera_server: Serve, start: Start) -> None:
    """What they cost the stream itself is measured by `benchmarks/viewers.py`."""
    camera = camera_server(MjpegServer, Scene(fps=15, size=(480, 640), noise=20.0))
    command = start("--source", f"door={camera.url}", "--web", 0)
    with ExitStack() as crowd, Looker(command.address, "door") as looker:
        wait_until(lambda: len(looker.looks) > 20, "pictures")
        began_at = time.monotonic()
        slow = [SlowPage(command, lambda: camera.sent, "door") for _ in range(3)]
        for page in slow:
            crowd.callback(page.close)
        crowd.enter_context(slow_stream_readers(command, 3))
        for _ in range(50):
            crowd.enter_context(connect(command))
        rush = threading.Thread(target=connect_and_leave, args=(command, 100), daemon=True)
        rush.start()
        time.sleep(6.0)
        rush.join(30)
        assert goes_on(looker.looks, began_at, time.monotonic() - OLD)
        assert looker.ended is None
    assert command.send(signal.SIGTERM) <= 2.0


def test_sent_to_in_turn_a_healthy_viewer_waits_for_the_slow_one() -> None:
    """The negative control: a server that sends each picture to one viewer after the other."""
    pairs = [socket.socketpair() for _ in range(2)]
    looks: list[Look] = []
    size = 100_000

    def serve() -> None:
        with suppress(OSError):
            while True:
                made_at = time.monotonic()
                for near, _ in pairs:
                    near.sendall(bytes(size))
                now = time.monotonic()
                looks.append(Look(now, Stamp(len(looks), made_at), (0, 0), now - made_at, now - made_at))
                time.sleep(1 / 15)

    def take(client: socket.socket) -> None:
        with suppress(OSError):
            while client.recv(size):
                pass

    slow = SlowSocket(pairs[1][1])

    def take_slowly() -> None:
        with suppress(OSError):
            while True:
                slow.take(size)

    threads = [threading.Thread(target=work, daemon=True) for work in (serve, lambda: take(pairs[0][1]), take_slowly)]
    began_at = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(4.0)
    ended_at = time.monotonic()
    slow.ended = True
    for end in (end for pair in pairs for end in pair):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(10)
    for end in (end for pair in pairs for end in pair):
        end.close()
    assert not goes_on(looks, began_at, ended_at)
