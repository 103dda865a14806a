"""Damaged frames on their way through a real connection: hidden, counted, told."""

from __future__ import annotations

import av
import cv2
import pytest

from edgeseg_runtime.preprocess import Image
from tests.runtime.capture.conftest import Watch
from tests.servers.mjpeg import MjpegServer
from tests.servers.rtsp import RtspServer
from tests.servers.scene import Scene, read
from tests.servers.several import Serve


def test_one_jpeg_in_three(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(MjpegServer, Scene(damage_every=3, fps=60))
    watched = watch(server.url)
    seen = watched.look(until=lambda: watched.camera.damaged >= 15)
    assert seen
    assert all(one.stamp is not None for one in seen), "none of them damaged"
    camera = watched.camera
    camera.stop()
    total = camera.captured + camera.damaged
    assert abs(camera.damaged - total / 3) <= 2
    told = watched.told("source.damaged")
    assert 1 <= len(told) < camera.damaged, "not one event a frame"
    assert told[-1]["total"] == sum(int(str(event["count"])) for event in told) == camera.damaged
    assert {state["state"] for state in watched.told("source.state")} == {"live"}, "and no connection was lost over it"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_one_jpeg_in_three_of_100_000(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(MjpegServer, Scene(damage_every=3, fps=2000, size=(48, 64)))
    watched = watch(server.url)
    camera, bad = watched.camera, 0
    pid = watched.live() and camera.worker_pid
    while camera.captured + camera.damaged < 100_000:
        bad += sum(one.stamp is None for one in watched.look(5.0, until=lambda: False))
    assert (server.viewers, camera.worker_pid) == (1, pid), "no crash"
    server.scene.silent = True
    bad += sum(one.stamp is None for one in watched.look(2.0, until=lambda: False))
    assert bad == 0
    # Frames that a newer one overtook were never looked at, and some of them were damaged ones.
    assert abs(camera.captured + camera.damaged + camera.late - server.sent) <= 1, "all that was missed is reported"
    assert server.sent / 3 - camera.late - 1 <= camera.damaged <= server.sent / 3 + 1
    assert camera.damaged > 30_000


def test_opencv_shows_them(camera_server: Serve) -> None:
    """The negative control."""
    capture = cv2.VideoCapture(camera_server(MjpegServer, Scene(damage_every=3, fps=60)).url, cv2.CAP_FFMPEG)
    images: list[Image] = [capture.read()[1] for _ in range(30)]  # type: ignore[misc]
    capture.release()
    assert sum(read(image) is None for image in images if image is not None) >= 5


def test_lost_packets_of_h264(watch: Watch, camera_server: Serve) -> None:
    """Nothing is shown from the loss to the next key frame."""
    server = camera_server(RtspServer)
    server.keyframe_every, server.drop_every, server.scene.fps = 8, 13, 60.0
    watched = watch(server.url)
    seen = watched.look(until=lambda: watched.camera.damaged >= 12)
    assert seen
    assert all(one.stamp is not None for one in seen)
    assert watched.camera.damaged >= 12


@pytest.mark.slow
def test_an_ordinary_reader_shows_lost_packets(camera_server: Serve) -> None:
    """The negative control."""
    server = camera_server(RtspServer)
    server.keyframe_every, server.drop_every = 8, 13
    bad = 0
    with av.open(server.url, options={"rtsp_transport": "tcp"}) as container:
        for number, frame in enumerate(container.decode(video=0)):
            bad += read(frame.to_ndarray(format="bgr24")) is None  # type: ignore[arg-type]
            if number > 60 or bad > 2:
                break
    assert bad > 2


@pytest.mark.slow
def test_nothing_but_damage_is_a_stall(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(MjpegServer)
    watched = watch(server.url)
    watched.live()
    server.scene.damage_every = 1
    watched.wait("stalled", "damaged")
    server.scene.damage_every = 0
    watched.wait("live")
