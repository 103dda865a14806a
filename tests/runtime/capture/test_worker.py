"""Workers that crash, hang, or lose their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import pytest

from edgeseg_runtime.capture.options import CaptureOptions
from tests.runtime.capture.conftest import FAST, PATIENCE, Watch, Watched
from tests.servers.mjpeg import MjpegServer
from tests.servers.rtsp import RtspServer
from tests.servers.several import Serve


def worker(watched: Watched) -> int:
    pid = watched.camera.worker_pid
    assert pid is not None
    return pid


def gone(pid: int, seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_a_killed_worker_is_replaced_and_the_numbers_go_on(watch: Watch, camera_server: Serve) -> None:
    watched = watch(camera_server(RtspServer).url)
    seen = watched.look(frames=5)
    pid = worker(watched)
    os.kill(pid, signal.SIGKILL)
    watched.wait("reconnecting", "worker died")
    captured = watched.camera.captured
    seen += watched.look(frames=5)
    assert gone(pid)
    assert seen[5].index >= captured
    assert len({one.index for one in seen}) == 10
    assert all(one.stamp is not None for one in seen)
    told = watched.told("source.state")
    assert [state["reason"] for state in told] == [None, "worker died", None]
    assert "-9" in str(told[1]["detail"])
    watched.camera.stop()
    assert watched.camera.captured > seen[-1].index


def test_a_worker_that_hangs_is_killed_and_replaced(watch: Watch, camera_server: Serve) -> None:
    watched = watch(camera_server(MjpegServer).url, replace(FAST, heartbeat_timeout=1.0))
    before = watched.live()
    pid = worker(watched)
    os.kill(pid, signal.SIGSTOP)
    watched.wait("stalled")
    watched.wait("reconnecting", "worker hung")
    assert gone(pid)
    after = watched.live()
    assert after.index > before.index
    assert after.age < 1.0, "nothing of what piled up meanwhile"


@pytest.mark.slow
def test_without_heartbeats_it_would_hang(watch: Watch, camera_server: Serve) -> None:
    """The negative control."""
    patient = CaptureOptions(heartbeat_timeout=600, read_timeout=600)
    watched = watch(camera_server(MjpegServer).url, patient)
    watched.live()
    pid = worker(watched)
    os.kill(pid, signal.SIGSTOP)
    try:
        watched.wait("stalled")
        assert watched.look(1.0) == []
        assert worker(watched) == pid
    finally:
        began = time.monotonic()
        watched.camera.stop(1.0)
        assert time.monotonic() - began <= 1.0, "even a stopped worker is ended"
    assert gone(pid)


def test_a_killed_parent_leaves_no_worker(camera_server: Serve) -> None:
    program = """
    import sys, time
    from edgeseg_runtime.capture.camera import Camera
    camera = Camera("door", sys.argv[1])
    camera.start()
    while camera.state != "live":
        time.sleep(0.01)
    print(camera.worker_pid, flush=True)
    time.sleep(600)
    """
    url = camera_server(MjpegServer).url
    command = [sys.executable, "-c", textwrap.dedent(program), url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert gone(pid)


@pytest.mark.slow
def test_a_worker_that_cannot_be_started_is_told(
    watch: Watch, camera_server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that ends at once: the wait doubles, and nothing is busy."""
    real = sys.executable
    monkeypatch.setattr(sys, "executable", "/bin/false")
    watched = watch(camera_server(MjpegServer).url)
    watched.wait("connecting", "worker died")
    monkeypatch.setattr(sys, "executable", real)
    assert watched.live().stamp is not None
