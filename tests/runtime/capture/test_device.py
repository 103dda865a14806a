"""Cameras of this machine, with OpenCV's capture replaced: no test machine has one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from edgeseg_runtime.capture import device
from edgeseg_runtime.capture.device import DeviceReader, as_bgr, device_number, device_path
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.states import Lost
from edgeseg_runtime.errors import SourceError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.sources.capture import CaptureSource
from tests.runtime.capture.conftest import Watch

OPTIONS = CaptureOptions()


class FakeCapture:
    """Gives what it was made with, then nothing; a string is printed from C first, as libjpeg does."""

    def __init__(self, frames: list[Image | str]) -> None:
        self.frames = frames
        self.released = False

    def read(self) -> tuple[bool, Image | None]:
        if not self.frames:
            return False, None
        frame = self.frames.pop(0)
        if isinstance(frame, str):
            os.write(2, frame.encode())
            return self.read()
        return True, frame

    def get(self, prop: int) -> float:
        return {cv2.CAP_PROP_FPS: 30.0}.get(prop, 0.0)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device file, and a link to it that stays the same wherever it is plugged in."""
    (tmp_path / "video3").touch()
    link = tmp_path / "usb-camera"
    link.symlink_to(tmp_path / "video3")
    return link


def reader(path: Path, frames: list[Image | str], monkeypatch: pytest.MonkeyPatch) -> DeviceReader:
    opened: list[int] = []

    def open_camera(index: int) -> CaptureSource:
        opened.append(index)
        return CaptureSource(cast("cv2.VideoCapture", FakeCapture(frames)), f"camera {index}", live=True)

    monkeypatch.setattr("edgeseg_runtime.sources.capture.open_camera", open_camera)
    made = DeviceReader(str(path), OPTIONS)
    assert opened == [3]
    return made


def test_reads_until_it_is_unplugged(plugged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.full((4, 6, 3), 9, np.uint8)
    source = reader(plugged, [picture, picture], monkeypatch)
    first = source.read()
    assert first is not None
    np.testing.assert_array_equal(first.image, picture)
    assert source.fps == 30.0
    source.read()
    (plugged.parent / "video3").unlink()
    with pytest.raises(Lost) as lost:
        source.read()
    assert lost.value.reason == "unplugged"
    source.close()


def test_a_device_that_is_there_and_gives_nothing(plugged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Lost) as lost:
        reader(plugged, [], monkeypatch).read()
    assert lost.value.reason == "no frames"


def test_damaged_frames_are_not_shown(plugged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV returns them as good; libjpeg has said on stderr what is wrong."""
    picture = np.full((4, 6, 3), 9, np.uint8)
    frames: list[Image | str] = [
        picture,
        "Corrupt JPEG data: 5 extraneous bytes before marker 0xd9\n",
        picture,
        picture,
    ]
    source = reader(plugged, frames, monkeypatch)
    assert [source.read() is not None for _ in range(3)] == [True, False, True]
    assert source.damaged == 1


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(Lost) as lost:
        DeviceReader(str(tmp_path / "video7"), OPTIONS)
    assert lost.value.reason == "not found"
    (tmp_path / "keyboard").touch()
    with pytest.raises(Lost, match="no video device"):
        device_number(tmp_path / "keyboard")


def test_taken_by_another_program(plugged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(index: int) -> CaptureSource:
        raise SourceError("camera 3 cannot be opened")

    monkeypatch.setattr("edgeseg_runtime.sources.capture.open_camera", refuse)
    with pytest.raises(Lost) as lost:
        DeviceReader(str(plugged), OPTIONS)
    assert lost.value.reason == "busy"


def test_numbers_and_paths() -> None:
    assert device_path("2") == Path("/dev/video2")
    assert device_path("/dev/v4l/by-id/usb-x") == Path("/dev/v4l/by-id/usb-x")
    assert device.device_path("/dev/video4").name == "video4"


def test_channels() -> None:
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for image in (gray, gray[..., None]):
        np.testing.assert_array_equal(as_bgr(image), np.stack([gray] * 3, -1))
    colour = np.random.default_rng(0).integers(0, 256, (3, 4, 4)).astype(np.uint8)
    np.testing.assert_array_equal(as_bgr(colour), colour[..., :3])
    assert as_bgr(colour[..., :3]).shape == (3, 4, 3)


def test_a_camera_that_is_not_plugged_in_is_waited_for(watch: Watch) -> None:
    watched = watch("/dev/video-that-is-not-there")
    watched.wait("connecting", "not found")
    assert watched.camera.title == "/dev/video-that-is-not-there"
