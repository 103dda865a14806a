"""Pictures that change their kind, and pictures that do not change at all."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.runtime.capture.conftest import Watch
from tests.servers.base import CameraServer
from tests.servers.mjpeg import MjpegServer, part
from tests.servers.rtsp import RtspServer
from tests.servers.scene import Scene
from tests.servers.several import Serve

BOTH = pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
MAINLY_RTSP = pytest.mark.parametrize("kind", [RtspServer, pytest.param(MjpegServer, marks=pytest.mark.slow)])
"""Where the other kind adds little, and time is short."""
SIZES = [(96, 128), (144, 192), (50, 66), (240, 320), (96, 128)]


@BOTH
def test_another_size_while_it_runs(kind: type[CameraServer], watch: Watch, camera_server: Serve) -> None:
    server = camera_server(kind)
    watched = watch(server.url)
    watched.live()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the folder changes while it is read
    for size in SIZES[1:]:
        server.scene.size = size
        seen = watched.look(until=lambda size=size: watched.camera.size == size)  # type: ignore[misc]
        seen += watched.look(frames=2)
        assert all(one.stamp is not None for one in seen)
        frame = watched.camera.newest(-1)
        assert frame is not None
        assert frame.image.shape == (*size, 3)
        assert frame.image.flags.writeable
    assert [(event["height"], event["width"]) for event in watched.told("source.size")] == SIZES
    assert server.viewers == 1
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1  # noqa: PTH208


@pytest.mark.slow
@MAINLY_RTSP
def test_gray_becomes_bgr(kind: type[CameraServer], watch: Watch, camera_server: Serve) -> None:
    watched = watch(camera_server(kind, Scene(gray=True)).url)
    assert watched.live().stamp is not None
    frame = watched.camera.newest(-1)
    assert frame is not None
    assert frame.image.shape == (96, 128, 3)
    assert int(abs(frame.image[..., 0].astype(int) - frame.image[..., 2]).max()) <= 1


@pytest.mark.slow
def test_another_rate(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(MjpegServer)
    watched = watch(server.url)
    for fps in (5.0, 100.0, 25.0):
        server.scene.fps = fps
        seen = watched.look(frames=6)
        assert all(one.stamp is not None for one in seen)
    assert watched.camera.state == "live"


@MAINLY_RTSP
def test_a_frozen_camera_is_named_and_thaws(kind: type[CameraServer], watch: Watch, camera_server: Serve) -> None:
    server = camera_server(kind)
    watched = watch(server.url)
    watched.live()
    server.scene.frozen = True
    watched.wait("frozen", "same picture")
    server.scene.frozen = False
    watched.wait("live")


@pytest.mark.slow
@MAINLY_RTSP
def test_a_static_scene_with_noise_is_live(kind: type[CameraServer], watch: Watch, camera_server: Serve) -> None:
    watched = watch(camera_server(kind, Scene(static=True, noise=2.0)).url)
    watched.live()
    watched.look(1.5)
    assert [state["state"] for state in watched.told("source.state") if state["state"] == "frozen"] == []


@pytest.mark.slow
def test_black_is_what_the_camera_sees_and_never_made_up(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(RtspServer)
    watched = watch(server.url)
    watched.live()
    server.scene.black = True
    watched.look(until=lambda: watched.look(1.0, frames=1)[0].stamp is None)
    frame = watched.camera.newest(-1)
    assert frame is not None
    assert frame.image.max() < 10


@pytest.mark.slow
def test_the_worker_does_without_torch_and_onnx(watch: Watch, camera_server: Serve) -> None:
    watched = watch(camera_server(RtspServer).url)
    watched.live()
    maps = Path(f"/proc/{watched.camera.worker_pid}/maps").read_text()
    assert "libavcodec" in maps
    assert not any(name in maps for name in ("torch", "onnxruntime", "openvino"))


def test_colours_are_what_opencv_makes_of_the_same_picture(watch: Watch, camera_server: Serve) -> None:
    """So a model sees a camera as it saw its training pictures."""
    server = camera_server(MjpegServer, Scene(frozen=True))
    watched = watch(server.url)
    watched.look(until=lambda: watched.camera.captured > 0)
    frame = watched.camera.newest(-1)
    assert frame is not None
    reference = cv2.imdecode(np.frombuffer(part(server.scene, 0), np.uint8), cv2.IMREAD_COLOR)
    assert reference is not None
    difference = cv2.absdiff(frame.image, reference)
    assert float(difference.mean()) < 1.5
