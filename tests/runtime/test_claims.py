"""What a killed process was writing is free; what a living one writes is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg_runtime.claims import claimed, own
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.video import VideoSink
from edgeseg_runtime.sources.base import Frame

CONTRACT = Contract(labels=(Label("red", (255, 0, 0)), Label("green", (0, 255, 0))), height=24, width=32)


def shot(index: int) -> Shot:
    frame = Frame(index, np.full((48, 64, 3), 100, np.uint8), 0.0, index / 10, f"{index:06d}")
    result = SemanticResult(np.zeros((48, 64), np.uint8), CONTRACT, StageTimes(0, 0, 0))
    return Shot(frame, result, color_table(CONTRACT), 0.5)


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with own(path):
        with claimed(path) as file:
            assert file is None
        with pytest.raises(FileExistsError), own(path):
            pass
    with claimed(path) as file, claimed(path) as again:
        assert file is not None
        assert again is None
    with claimed(tmp_path / "none") as file:
        assert file is None


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "far").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "far")
    with pytest.raises(OSError, match="symbolic links"), claimed(tmp_path / "link"):
        pass


WRITER = """
import sys, time
from pathlib import Path
from edgeseg_runtime.sinks.video import VideoSink
from tests.runtime.test_claims import shot

sink = VideoSink(Path(sys.argv[1]))
for index in range(5):
    sink.write(shot(index), sink.encode(shot(index)))
print("written", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("name", ["out.mp4", "[a-z]*.avi"])
def test_the_next_start_deletes_what_a_killed_one_left_and_nothing_else(tmp_path: Path, name: str) -> None:
    path, others = tmp_path / name, [tmp_path / f".other.0123abcd.partial{Path(name).suffix}", tmp_path / ".b.mp4"]
    for other in others:
        other.write_bytes(b"somebody else's")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=environment, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        (partial,) = set(tmp_path.iterdir()) - set(others)
        VideoSink(path).close()
        assert partial.exists()  # it is being written
        writer.send_signal(signal.SIGKILL)
    assert partial.exists()
    sink = VideoSink(path)
    assert set(tmp_path.iterdir()) == set(others)
    sink.write(shot(0), sink.encode(shot(0)))
    sink.close()
    assert set(tmp_path.iterdir()) == {*others, path}
    assert cv2.VideoCapture(str(path)).read()[0]


def test_a_video_that_cannot_be_opened_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.VideoWriter, "isOpened", lambda _: False)
    sink = VideoSink(tmp_path / "out.mp4")
    for index in range(3):
        with pytest.raises(OutputError, match="cannot be written as a 64×48 video"):
            sink.write(shot(index), sink.encode(shot(index)))
    sink.close()
    assert list(tmp_path.iterdir()) == []
