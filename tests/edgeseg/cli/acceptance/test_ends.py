"""However the command ends: no process, no shared memory and no lock is left, and recordings play."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.telemetry.disk_spool import DiskSpool
from tests.edgeseg.cli.acceptance.command import Command, alive, command_line, descendants
from tests.edgeseg.cli.acceptance.looker import Looker
from tests.edgeseg.cli.acceptance.recordings import in_order, recordings
from tests.servers.rtsp import RtspServer
from tests.servers.scene import Scene

if TYPE_CHECKING:
    from tests.edgeseg.cli.acceptance.conftest import Start
    from tests.servers.several import Serve

END_SECONDS, ORPHAN_SECONDS, LOST_SECONDS = 2.0, 2.0, 2.0


def shared_names(pids: Iterable[int]) -> set[str]:
    """Return the named shared memory, semaphores included, that processes have mapped or open."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            maps = Path(f"/proc/{pid}/maps").read_text().split()
            links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]  # noqa: PTH115
            found |= {name for name in (*maps, *links) if name.startswith("/dev/shm/")}
    return found


def leftovers(pids: Iterable[int], names: Iterable[str], spool: Path) -> list[str]:
    """Say what is left of a command `ORPHAN_SECONDS` after its end, or sooner where nothing is."""
    end = time.monotonic() + ORPHAN_SECONDS
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    left = [f"process {pid}: {command_line(pid)}" for pid in pids if alive(pid)]
    left += [f"shared memory {name}" for name in names if Path(name).exists()]
    try:
        DiskSpool(spool).close()
    except OutputError as error:
        left.append(str(error))
    return left


def everything(start: Start, healthy: RtspServer, silent: RtspServer, folder: Path) -> Command:
    """Start the command with all that could leave something behind; one of its cameras hangs."""
    sources = ["--source", f"door={healthy.url}", "--source", f"yard={silent.url}"]
    outward = ["--webhook", "http://127.0.0.1:9/", "--spool", folder / "spool", "--metrics", 0]
    return start(*sources, "--web", 0, "--record", folder / "rec", "--opacity", 0, *outward)


def test_a_killed_command_leaves_nothing_and_one_that_is_asked_to_end_does_at_once(
    camera_server: Serve, start: Start, tmp_path: Path
) -> None:
    healthy, silent = camera_server(RtspServer), camera_server(RtspServer, Scene(delay=600))
    command = everything(start, healthy, silent, tmp_path)
    with Looker(command.address, "door") as looker:
        first = looker.wait(lambda look: look.stamp is not None).made_at
        looker.wait(lambda look: look.made_at > first + 2.5)
        pids = list(command.children())
        assert len(pids) == 3  # two cameras and a model
        names = shared_names([command.process.pid, *pids])
        killed_at = time.monotonic()
        command.send(signal.SIGKILL)
    assert leftovers(pids, names, tmp_path / "spool" / "webhook") == []
    before = recordings(tmp_path / "rec")  # as they lie there
    assert in_order(before)
    assert before[0].moments[0] <= first + LOST_SECONDS
    assert killed_at - before[-1].moments[-1] <= LOST_SECONDS

    again = everything(start, healthy, silent, tmp_path)
    again.event("record.recovered")
    again.event("record.started")
    pids = list(again.children())
    names = shared_names([again.process.pid, *pids])
    assert again.send(signal.SIGTERM) <= END_SECONDS and again.process.returncode == 0
    assert leftovers(pids, names, tmp_path / "spool" / "webhook") == []
    after = recordings(tmp_path / "rec")
    assert after[: len(before)] == before and in_order(after)
    assert not [path for path in (tmp_path / "rec").iterdir() if path.name.startswith(".")]


ORDINARY = """
import fcntl, mmap, os, subprocess, sys, time
from pathlib import Path

folder, name = Path(sys.argv[1]), "/dev/shm/ordinary-" + str(os.getpid())
memory = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR)
os.ftruncate(memory, 4096)
mapped = mmap.mmap(memory, 4096)
folder.mkdir()
lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
fcntl.flock(lock, fcntl.LOCK_EX)
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[lock])
print("ready", flush=True)
time.sleep(60)
"""


def test_an_ordinary_program_leaves_all_of_that_behind(tmp_path: Path) -> None:
    """The negative control: a helper, memory with a name, and a lock that the helper inherited."""
    program = [sys.executable, "-c", ORDINARY, str(tmp_path / "spool")]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as ordinary:
        assert ordinary.stdout is not None
        assert ordinary.stdout.readline() == "ready\n"
        pids = list(descendants(ordinary.pid))
        names = shared_names([ordinary.pid, *pids])
        ordinary.kill()
    try:
        left = leftovers(pids, names, tmp_path / "spool")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for name in names:
            Path(name).unlink()
    assert [line.split()[0] for line in left] == ["process", "shared", "the"], left


POLITE = """
import signal, sys, cv2
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
capture = cv2.VideoCapture(sys.argv[1], cv2.CAP_FFMPEG)
capture.read()
print("ready", flush=True)
while not over:
    capture.read()
"""


@pytest.mark.slow
def test_a_program_that_reads_a_silent_camera_itself_does_not_end_in_time(camera_server: Serve) -> None:
    """The negative control: it would end in good order, if only the read did."""
    camera = camera_server(RtspServer)
    with subprocess.Popen([sys.executable, "-c", POLITE, camera.url], stdout=subprocess.PIPE, text=True) as polite:
        assert polite.stdout is not None
        assert polite.stdout.readline() == "ready\n"
        camera.cut_power()
        time.sleep(0.5)
        polite.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            polite.wait(END_SECONDS)
        polite.kill()
