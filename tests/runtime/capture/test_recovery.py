"""Cameras that go and come back, fall silent, or are not there yet: on real servers, with clocks made shorter."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import cv2
import pytest

from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.sources.base import Frame
from tests.runtime.capture.conftest import FAST, PATIENCE, Watch, Watched
from tests.servers.base import CameraServer
from tests.servers.mjpeg import MjpegServer
from tests.servers.rtsp import RtspServer
from tests.servers.scene import Scene, read
from tests.servers.several import Serve

BOTH = pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
MAINLY_RTSP = pytest.mark.parametrize("kind", [RtspServer, pytest.param(MjpegServer, marks=pytest.mark.slow)])
"""Where the other kind adds little, and time is short."""
OLD = 0.6
"""Seconds: a picture of this age is not what the camera sees now. A busy machine's delays are well below."""


@MAINLY_RTSP
def test_shows_the_newest_frames_and_says_when_they_came(
    kind: type[CameraServer], watch: Watch, camera_server: Serve
) -> None:
    watched = watch(camera_server(kind).url)
    seen = watched.look(frames=20)
    assert len(seen) == 20
    numbers = [one.stamp.number for one in seen if one.stamp]
    assert numbers == sorted(set(numbers)), "each once, in order, none damaged"
    assert len(numbers) == 20
    for one in seen:
        assert one.stamp is not None
        assert one.age < OLD
        assert -0.02 < one.captured_at - one.stamp.made_at < OLD, "it came after it was made"
    camera = watched.camera
    assert camera.size == (96, 128)
    assert camera.captured >= seen[-1].index + 1
    assert [state["state"] for state in watched.told("source.state")] == ["live"]
    assert watched.told("source.size") == [{"height": 96, "width": 128}]


@pytest.mark.slow
def test_frames_of_rtsp_have_their_place_in_time(watch: Watch, camera_server: Serve) -> None:
    watched = watch(camera_server(RtspServer).url)
    watched.live()
    frames: list[Frame] = []
    while len(frames) < 10:
        frame = watched.camera.newest(frames[-1].index if frames else -1)
        if frame is not None:
            frames.append(frame)
    for earlier, later in pairwise(frames):
        assert earlier.position is not None
        assert later.position is not None
        first, second = read(earlier.image), read(later.image)
        assert first is not None
        assert second is not None
        assert later.position - earlier.position == pytest.approx(second.made_at - first.made_at, abs=0.003)
    assert (frames[0].camera, frames[0].name) == ("door", f"{frames[0].index:06d}")


def gone_and_back(watched: Watched, server: CameraServer, cycles: int) -> None:
    """Each time: noticed at once, nothing old shown afterwards, a fresh frame soon after the return."""
    index = watched.live().index
    for cycle in range(cycles):
        server.scene.size = (96, 128) if cycle % 2 else (120, 160)
        left_at = time.monotonic()
        server.down()
        noticed_at = watched.wait("reconnecting")
        assert noticed_at - left_at < 1.0
        time.sleep(0.02)
        assert watched.camera.newest(-1) is None, "what came before is not what the camera sees now"
        watched.look(0.3)
        back_at = time.monotonic()
        server.up()
        seen = watched.look(until=lambda: watched.camera.state == "live") + watched.look(frames=5)
        assert len(seen) >= 5
        first = seen[0]
        assert all(one.stamp is not None for one in seen), "no black and no damaged picture"
        assert all(one.stamp.made_at > back_at for one in seen if one.stamp), "no old picture"
        assert all(one.age < OLD for one in seen)
        assert first.captured_at - back_at < 2.0
        assert first.index > index, "the numbers go on"
        index = seen[-1].index


@MAINLY_RTSP
def test_gone_and_back(kind: type[CameraServer], watch: Watch, camera_server: Serve) -> None:
    server = camera_server(kind)
    gone_and_back(watch(server.url), server, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
@BOTH
def test_gone_and_back_100_times_leaves_nothing_behind(
    kind: type[CameraServer], watch: Watch, camera_server: Serve
) -> None:
    server = camera_server(kind)
    watched = watch(server.url)
    gone_and_back(watched, server, 10)
    before, pid = usage(watched), watched.camera.worker_pid
    gone_and_back(watched, server, 90)
    assert watched.camera.worker_pid == pid, "one worker did it all"
    after = usage(watched)
    assert after["descriptors"] <= before["descriptors"] + 2
    assert after["worker's descriptors"] <= before["worker's descriptors"] + 2
    assert after["threads"] <= before["threads"] + 2
    assert after["worker's kB"] < before["worker's kB"] + 8_000


def usage(watched: Watched) -> dict[str, int]:
    pid = watched.camera.worker_pid
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - the folder changes while it is read
        "worker's descriptors": len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208
        "threads": threading.active_count(),
        "worker's kB": int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))),
    }


@pytest.mark.parametrize("burst", [pytest.param(0, marks=pytest.mark.slow), 50])
def test_the_ordinary_way_shows_old_pictures_first(burst: int, camera_server: Serve) -> None:
    """The negative control: PyAV as its documentation has it, and a server that keeps the last two seconds."""
    server = camera_server(RtspServer, Scene(burst=burst))
    with av.open(server.url, options={"rtsp_transport": "tcp"}) as container:
        frame = next(container.decode(video=0))
        stamp = read(frame.to_ndarray(format="bgr24"))  # type: ignore[arg-type]
    assert stamp is not None
    assert time.monotonic() - stamp.made_at > OLD


def test_what_a_server_has_kept_is_not_shown(watch: Watch, camera_server: Serve) -> None:
    watched = watch(camera_server(RtspServer, Scene(burst=50)).url)
    seen = watched.look(frames=10)
    assert len(seen) == 10
    assert all(one.age < OLD for one in seen)


@MAINLY_RTSP
def test_silence_is_noticed_while_the_connection_stays_open(
    kind: type[CameraServer], watch: Watch, camera_server: Serve
) -> None:
    server = camera_server(kind)
    watched = watch(server.url)
    watched.live()
    server.scene.silent = True
    silent_at = time.monotonic()
    noticed_at = watched.wait("stalled", "no frames")
    assert noticed_at - silent_at < 2.0
    watched.wait("reconnecting", "no frames")
    watched.look(until=lambda: server.viewers > 1)
    server.scene.silent = False
    back_at = time.monotonic()
    seen = watched.look(frames=3)
    assert all(one.stamp is not None and one.stamp.made_at > back_at - 0.05 for one in seen)
    assert watched.camera.state == "live"


@pytest.mark.slow
def test_a_short_silence_ends_without_a_new_connection(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(MjpegServer)
    watched = watch(server.url, CaptureOptions(stall_after=0.4, read_timeout=PATIENCE))
    watched.live()
    server.scene.silent = True
    watched.wait("stalled")
    server.scene.silent = False
    watched.wait("live")
    assert server.viewers == 1


@pytest.mark.slow
def test_opencv_waits_for_ever_for_a_silent_camera(camera_server: Serve) -> None:
    """The negative control: the read does not end, and the capture calls itself open."""
    server = camera_server(MjpegServer)
    capture = cv2.VideoCapture(server.url, cv2.CAP_FFMPEG)
    assert capture.read()[0]
    server.scene.silent = True
    over = threading.Event()

    def read_on() -> None:
        while capture.read()[0]:
            pass
        over.set()

    reader = threading.Thread(target=read_on, daemon=True)
    reader.start()
    assert not over.wait(2.0)
    assert capture.isOpened()
    server.down()  # lets it go
    reader.join(PATIENCE)
    capture.release()


@MAINLY_RTSP
def test_a_stream_that_opens_and_gives_nothing_is_stalled(
    kind: type[CameraServer], watch: Watch, camera_server: Serve
) -> None:
    server = camera_server(kind, Scene(silent=True))
    watched = watch(server.url, replace(FAST, connect_timeout=1.2))
    if kind is RtspServer:
        watched.wait("stalled", "no frames")
    else:  # what sends nothing over HTTP is not known to be a stream
        watched.wait("connecting", "timeout")
    assert watched.camera.captured == 0


@MAINLY_RTSP
def test_absent_at_start(kind: type[CameraServer], watch: Watch, camera_server: Serve) -> None:
    server = camera_server(kind, up=False)
    watched = watch(server.url)
    watched.wait("connecting", "refused")
    time.sleep(0.5)
    up_at = time.monotonic()
    server.up()
    assert watched.live().captured_at - up_at < 2.0
    assert [state["reason"] for state in watched.told("source.state")] == ["refused", None]


def test_stop_while_it_connects(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(RtspServer, Scene(delay=30))
    watched = watch(server.url, CaptureOptions(connect_timeout=30))
    end = time.monotonic() + PATIENCE
    while not server.viewers and time.monotonic() < end:
        time.sleep(0.01)
    pid = watched.camera.worker_pid
    assert pid is not None
    began = time.monotonic()
    watched.camera.stop(1.0)
    assert time.monotonic() - began <= 1.0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    watched.camera.stop(1.0)  # again, without harm


@pytest.mark.slow
def test_a_connection_that_is_being_made_cannot_be_stopped_in_a_thread(camera_server: Serve) -> None:
    """The negative control."""
    server = camera_server(RtspServer, Scene(delay=30))
    ended = threading.Event()

    def connect() -> None:
        with pytest.raises((av.FFmpegError, OSError)):
            av.open(server.url, options={"rtsp_transport": "tcp"})
        ended.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    assert not ended.wait(1.5)
    server.down()
    thread.join(PATIENCE)
    assert ended.is_set()


def test_stop_before_start_and_twice(watch: Watch) -> None:
    watched = watch("rtsp://127.0.0.1:9/live", start=False)
    watched.camera.stop()
    watched.camera.start()
    assert watched.camera.worker_pid is None
    watched.camera.stop()


def test_wakes_whoever_waits(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(MjpegServer)
    watched = watch(server.url, start=False)
    woken = threading.Semaphore(0)
    watched.camera.on_frame = woken.release
    watched.camera.start()
    for _ in range(5):
        assert woken.acquire(timeout=PATIENCE)
    server.down()
    watched.wait("reconnecting")


@pytest.mark.slow
def test_a_hook_that_raises_harms_nobody(watch: Watch, camera_server: Serve, caplog: pytest.LogCaptureFixture) -> None:
    watched = watch(camera_server(MjpegServer).url, start=False)

    def fail() -> None:
        raise RuntimeError("no")

    watched.camera.on_frame = fail
    watched.camera.start()
    assert len(watched.look(frames=3)) == 3
    assert "waking" in caplog.text


def test_the_wall_clock_has_no_say(
    watch: Watch, camera_server: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It jumps by an hour with every look at it, here and in the worker."""
    (tmp_path / "sitecustomize.py").write_text(
        "import itertools, time\n"
        "count, real = itertools.count(), time.time\n"
        "time.time = lambda: real() + 3600 * (next(count) % 3 - 1)\n"
        f"open({str(tmp_path / 'was here')!r}, 'w').close()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    real, calls = time.time, iter(range(1 << 30))
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * (next(calls) % 3 - 1))
    server = camera_server(RtspServer)
    watched = watch(server.url)
    gone_and_back(watched, server, 1)
    assert (tmp_path / "was here").exists(), "the worker had that clock too"
    assert watched.camera.state == "live"
    assert abs(watched.camera.since - time.monotonic()) < PATIENCE


def test_each_camera_for_itself(watch: Watch, camera_server: Serve) -> None:
    """One comes and goes; another never gives anything; the third loses nothing."""
    servers = [
        camera_server(MjpegServer, Scene(fps=20)),
        camera_server(RtspServer),
        camera_server(RtspServer, Scene(delay=30)),
    ]
    steady, shaky, dead = (watch(server.url, FAST) for server in servers)
    steady.live()
    shaky.live()
    first = steady.live()
    for _ in range(2):
        servers[1].down()
        shaky.wait("reconnecting")
        servers[1].up()
        shaky.wait("live")
    last = steady.live()
    assert first.stamp is not None
    assert last.stamp is not None
    assert last.index - first.index == last.stamp.number - first.stamp.number, "every frame that was sent has come"
    assert dead.camera.captured == 0
    assert len({watched.camera.worker_pid for watched in (steady, shaky, dead)}) == 3
