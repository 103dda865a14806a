"""Streams without time stamps that come faster than they can be decoded."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg_runtime.preprocess import Image
from tests.runtime.capture.conftest import PATIENCE, Watch
from tests.servers.mjpeg import MjpegServer
from tests.servers.scene import Scene, read
from tests.servers.several import Serve

OLD = 0.6
"""Seconds: a picture of this age is not what the camera sees now."""


READER = """
import socket, sys
from edgeseg_runtime.capture.backlog import Backlog

connections = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
backlog = Backlog()
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "read":
        print(len(connections[0].recv(1 << 20)), flush=True)
    else:
        print(backlog.is_newer_than(int(line)), flush=True)
"""


class Reader:
    """A process with so many connections to the network, which says what waits on them."""

    def __init__(self, connections: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command = [sys.executable, "-c", READER, str(listener.getsockname()[1]), str(connections)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
            self.far = [listener.accept()[0] for _ in range(connections)]
        assert self._line() == "ready"

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self.far:
            end.close()
        self._process.communicate(timeout=PATIENCE)

    def ask(self, question: object) -> str:
        assert self._process.stdin is not None
        print(question, file=self._process.stdin, flush=True)
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def test_a_whole_frame_that_waits_makes_the_one_before_old() -> None:
    with Reader(1) as reader:
        assert reader.ask(100) == "False"
        reader.far[0].sendall(bytes(1500))
        end = time.monotonic() + PATIENCE
        while reader.ask(1000) != "True":  # on its way
            assert time.monotonic() < end
        assert reader.ask(1001) == "False"  # it may be a part of a frame
        assert reader.ask("read") == "1500"
        assert reader.ask(1) == "False"


@pytest.mark.parametrize("connections", [0, 2])
def test_where_there_is_none_or_several_nothing_is_found(connections: int) -> None:
    with Reader(connections) as reader:
        for end in reader.far:
            end.sendall(bytes(1500))
        time.sleep(0.2)
        assert reader.ask(1) == "False"


SLOW = """
import time
from edgeseg_runtime.capture.jpeg import JpegCheck
real = JpegCheck.is_good
JpegCheck.is_good = lambda self, data: time.sleep(0.1) or real(self, data)
open({mark!r}, "w").close()
"""


def test_what_comes_faster_than_it_can_be_decoded_is_left_out_and_what_is_shown_is_new(
    watch: Watch, camera_server: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that takes 0.1 s a frame, of a camera that sends 40 frames a second."""
    (tmp_path / "sitecustomize.py").write_text(SLOW.format(mark=str(tmp_path / "was here")))
    monkeypatch.syspath_prepend(tmp_path)
    watched = watch(camera_server(MjpegServer, Scene(fps=40)).url)
    seen = watched.look(frames=18)
    assert (tmp_path / "was here").exists()
    assert len(seen) == 18 and all(one.stamp is not None for one in seen)
    assert max(one.age for one in seen) < OLD
    assert watched.camera.late > 18 and watched.camera.damaged == 0


def test_read_one_after_the_other_they_grow_older_and_older(camera_server: Serve) -> None:
    """The negative control: as OpenCV gives them, with a decoder as slow."""
    capture = cv2.VideoCapture(camera_server(MjpegServer, Scene(fps=40)).url, cv2.CAP_FFMPEG)
    ages = []
    for _ in range(18):
        image: Image = capture.read()[1]  # type: ignore[assignment]
        stamp = read(image)
        assert stamp is not None
        ages.append(time.monotonic() - stamp.made_at)
        time.sleep(0.1)
    capture.release()
    assert ages[-1] > OLD
    assert np.polyfit(range(18), ages, 1)[0] > 0.03  # by so many seconds each frame


@pytest.mark.slow
def test_a_stream_that_is_decoded_in_time_loses_nothing(watch: Watch, camera_server: Serve) -> None:
    server = camera_server(MjpegServer, Scene(fps=20))
    watched = watch(server.url)
    seen = watched.look(frames=20)
    numbers = [one.stamp.number for one in seen if one.stamp]
    assert numbers[-1] - numbers[0] == seen[-1].index - seen[0].index
