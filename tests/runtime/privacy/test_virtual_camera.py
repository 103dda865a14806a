from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.privacy import VirtualCameraSink, virtual_camera
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame


def shot(contract: Contract, image: Image) -> Shot:
    mask = np.zeros(image.shape[:2], np.uint8)
    frame = Frame(0, image, 0.0, None, "0")
    return Shot(frame, SemanticResult(mask, contract, StageTimes(0, 0, 0)), color_table(contract), 0.0)


def test_without_the_module_the_line_says_what_to_do(tmp_path: Path) -> None:
    hint = "a virtual camera needs the v4l2loopback module: sudo modprobe v4l2loopback exclusive_caps=1"
    with pytest.raises(OutputError) as absent:
        VirtualCameraSink("/dev/video99")
    assert str(absent.value) == f"/dev/video99 cannot be opened: No such file or directory; {hint}"
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file is no device; a virtual camera needs"):
        VirtualCameraSink(str(tmp_path / "file"))
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OutputError, match="/dev/null is no video device"):
        VirtualCameraSink("/dev/null")
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc to read the kernel's header")
def test_the_numbers_are_those_of_the_kernels_header(tmp_path: Path) -> None:
    source = tmp_path / "numbers.c"
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <linux/videodev2.h>\n"
        'int main(void) { printf("%lu %lu %zu %zu %zu %zu %zu %d %d %d %d %u", (unsigned long)VIDIOC_QUERYCAP,'
        " (unsigned long)VIDIOC_S_FMT, sizeof(struct v4l2_capability), offsetof(struct v4l2_capability, capabilities),"
        " sizeof(struct v4l2_format), offsetof(struct v4l2_format, fmt.pix.width),"
        " offsetof(struct v4l2_format, fmt.pix.colorspace), V4L2_BUF_TYPE_VIDEO_OUTPUT, V4L2_FIELD_NONE,"
        " V4L2_COLORSPACE_SRGB, V4L2_CAP_VIDEO_OUTPUT, V4L2_PIX_FMT_YUV420); return 0; }\n"
    )
    built = subprocess.run(["gcc", str(source), "-o", str(tmp_path / "numbers")], capture_output=True, check=False)
    if built.returncode:
        pytest.skip("the kernel's header is not installed")
    said = [int(word) for word in subprocess.check_output([str(tmp_path / "numbers")]).split()]
    ours = virtual_camera
    assert said[:2] == [ours.VIDIOC_QUERYCAP, ours.VIDIOC_S_FMT]
    assert [said[2], said[4]] == [ours._CAPABILITY.size, ours._FORMAT.size]
    assert said[7:] == [ours._BUF_TYPE_OUTPUT, ours._FIELD_NONE, ours._COLORSPACE_SRGB, ours.CAN_OUTPUT, ours._I420]
    packed = ours._FORMAT.pack(1, 2, 3, 4, 5, 6, 7, 8)
    assert int.from_bytes(packed[said[5] : said[5] + 4], "little") == 2
    assert int.from_bytes(packed[said[6] : said[6] + 4], "little") == 8
    marked = bytearray(ours._CAPABILITY.size)
    marked[said[3]] = 7
    assert ours._CAPABILITY.unpack(bytes(marked))[4] == 7


def test_frames_are_written_whole_in_the_format_agreed(
    tmp_path: Path, colour_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the device, which agrees to what it is asked for."""
    asked: list[tuple[int, ...]] = []

    def ioctl(fd: int, number: int, data: bytes) -> bytes:
        asked.append((number, *virtual_camera._FORMAT.unpack(data)))
        return data

    monkeypatch.setattr("edgeseg_runtime.privacy.virtual_camera.fcntl.ioctl", ioctl)
    device = tmp_path / "video"
    device.touch()
    monkeypatch.setattr("edgeseg_runtime.privacy.virtual_camera._open", lambda path: os.open(path, os.O_RDWR))
    sink = VirtualCameraSink(str(device), lambda one: one.frame.image)
    image = np.full((25, 33, 3), (200, 100, 50), np.uint8)
    one = shot(colour_contract, image)
    for _ in range(2):
        sink.write(one, sink.encode(one))
    with pytest.raises(OutputError, match="shows another size already"):
        other = shot(colour_contract, np.zeros((50, 60, 3), np.uint8))
        sink.write(other, sink.encode(other))
    sink.close()
    sink.close()
    assert asked == [(virtual_camera.VIDIOC_S_FMT, 2, 32, 24, virtual_camera._I420, 1, 32, 32 * 24 * 3 // 2, 8)]
    data = np.frombuffer(device.read_bytes(), np.uint8)
    assert data.size == 2 * 32 * 24 * 3 // 2
    back = cv2.cvtColor(data[: data.size // 2].reshape(36, 32), cv2.COLOR_YUV2BGR_I420)
    assert np.abs(back.astype(int) - (200, 100, 50)).max() <= 3


def test_a_device_that_wants_something_else_is_named(
    tmp_path: Path, colour_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "video").touch()
    monkeypatch.setattr("edgeseg_runtime.privacy.virtual_camera._open", lambda path: os.open(path, os.O_RDWR))
    monkeypatch.setattr("edgeseg_runtime.privacy.virtual_camera.fcntl.ioctl", lambda *told: bytes(len(told[2])))
    sink, one = VirtualCameraSink(str(tmp_path / "video")), shot(colour_contract, np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(OutputError, match="does not take 32×24 pixels"):
        sink.write(one, sink.encode(one))
    sink.close()
