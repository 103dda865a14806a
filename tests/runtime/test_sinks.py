from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks import (
    JsonLinesSink,
    MasksSink,
    OverlaysSink,
    Shot,
    Sink,
    VideoSink,
    WindowSink,
    window_problem,
)
from edgeseg_runtime.sources.base import Frame

T = TypeVar("T")


def shot(contract: Contract, index: int = 0, *, size: tuple[int, int] = (48, 64), at: float = 0.0) -> Shot:
    """A grey frame whose left half has class 0 and right half class `index % 3`."""
    mask = np.zeros(size, np.uint8)
    mask[:, size[1] // 2 :] = index % 3
    frame = Frame(index, np.full((*size, 3), 100, np.uint8), at, index / 10, f"{index:06d}")
    return Shot(frame, SemanticResult(mask, contract, StageTimes(0, 0, 0)), color_table(contract), 0.5)


def put(sink: Sink[T], *shots: Shot) -> None:
    for one in shots:
        sink.write(one, sink.encode(one))


def read_video(path: Path) -> list[Image]:
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while True:
        found, frame = capture.read()
        if not found:
            return frames
        frames.append(frame.astype(np.uint8))


def test_the_picture_is_drawn_once_for_all_outputs(colour_contract: Contract) -> None:
    one = shot(colour_contract, 2)
    assert one.picture is one.picture
    # half of grey 100 and half of the class colour; red is (0, 0, 255) in BGR
    np.testing.assert_array_equal(one.picture[0, 0], [50, 50, 178])
    np.testing.assert_array_equal(one.picture[0, -1], [178, 50, 50])


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".MP4"])
def test_a_video_holds_every_annotated_frame(tmp_path: Path, colour_contract: Contract, suffix: str) -> None:
    path = tmp_path / "new" / f"out{suffix}"
    sink = VideoSink(path, 12.5)
    put(sink, *(shot(colour_contract, index) for index in range(9)))
    assert not path.exists()  # under its temporary name until it is whole
    sink.close()
    frames = read_video(path)
    assert len(frames) == 9
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 12.5
    for index, frame in enumerate(frames):
        expected = shot(colour_contract, index).picture
        assert np.abs(frame[8:40, 4:28].astype(int) - expected[8:40, 4:28]).mean() < 4
        assert np.abs(frame[8:40, 36:60].astype(int) - expected[8:40, 36:60]).mean() < 4
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_odd_size_loses_its_last_row_and_column_and_no_frame(tmp_path: Path, colour_contract: Contract) -> None:
    sink = VideoSink(tmp_path / "odd.mp4")
    put(sink, *(shot(colour_contract, index, size=(49, 65)) for index in range(5)))
    sink.close()
    assert [frame.shape for frame in read_video(tmp_path / "odd.mp4")] == [(48, 64, 3)] * 5


def test_a_live_video_repeats_frames_to_keep_time(tmp_path: Path, colour_contract: Contract) -> None:
    sink = VideoSink(tmp_path / "live.avi", 10.0, keep_time=True)
    # at 10 frames a second: due at 0, 0.1 … ; the third comes late, the fourth too soon after it
    put(sink, *(shot(colour_contract, index, at=5.0 + at) for index, at in enumerate([0.0, 0.1, 0.5, 0.51, 0.6])))
    sink.close()
    assert len(read_video(tmp_path / "live.avi")) == 7


def test_frames_of_two_sizes_are_refused_and_the_video_still_plays(tmp_path: Path, colour_contract: Contract) -> None:
    sink = VideoSink(tmp_path / "out.mp4")
    put(sink, shot(colour_contract, 0))
    with pytest.raises(OutputError, match="000001 is 32×24 and the first frame was 64×48"):
        put(sink, shot(colour_contract, 1, size=(24, 32)))
    sink.close()
    assert len(read_video(tmp_path / "out.mp4")) == 1


def test_without_a_frame_there_is_no_video(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4")
    sink.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.mov", "out.webm", "out"])
def test_a_video_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"\.mp4 or \.avi"):
        VideoSink(tmp_path / name)


def test_an_output_in_an_impossible_place_is_an_error(tmp_path: Path, colour_contract: Contract) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        VideoSink(tmp_path / "folder.mp4")
    with pytest.raises(OutputError, match=str(blocked)):
        put(VideoSink(blocked / "out.mp4"), shot(colour_contract))
    with pytest.raises(OutputError, match=str(blocked)):
        MasksSink(blocked, colour_contract)
    with pytest.raises(OutputError, match="cannot be written"):
        JsonLinesSink(str(blocked / "a.jsonl"))


def test_masks_are_index_pictures_named_by_frame(tmp_path: Path, colour_contract: Contract) -> None:
    sink = MasksSink(tmp_path / "masks", colour_contract)
    put(sink, shot(colour_contract, 1), shot(colour_contract, 2))
    sink.close()
    assert sorted(file.name for file in (tmp_path / "masks").iterdir()) == ["000001.png", "000002.png", "classes.csv"]
    for index in (1, 2):
        mask: Mask = cv2.imread(str(tmp_path / "masks" / f"{index:06d}.png"), cv2.IMREAD_UNCHANGED)  # type: ignore[assignment]
        np.testing.assert_array_equal(mask, shot(colour_contract, index).result.mask)
    table = (tmp_path / "masks" / "classes.csv").read_text()
    assert table == "index,name,r,g,b\n0,red,255,0,0\n1,green,0,255,0\n2,blue,0,0,255\n"


def test_overlays_are_written_beside_when_wanted(tmp_path: Path, colour_contract: Contract) -> None:
    sink = OverlaysSink(tmp_path)
    put(sink, shot(colour_contract, 1))
    overlay = cv2.imread(str(tmp_path / "000001.overlay.jpg"))
    assert overlay is not None
    expected = shot(colour_contract, 1).picture
    assert np.abs(overlay[:, 4:28].astype(int) - expected[:, 4:28]).max() < 8


def test_a_mask_that_cannot_be_written_is_an_error_and_leaves_nothing(
    tmp_path: Path, colour_contract: Contract
) -> None:
    sink = MasksSink(tmp_path, colour_contract)
    (tmp_path / "000001.png").mkdir()
    with pytest.raises(OutputError, match=r"000001\.png cannot be written"):
        put(sink, shot(colour_contract, 1))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000001.png", "classes.csv"]


def test_json_lines_tell_the_areas_and_can_be_followed(tmp_path: Path, colour_contract: Contract) -> None:
    path = tmp_path / "new" / "areas.jsonl"
    sink = JsonLinesSink(str(path))
    put(sink, shot(colour_contract, 3))
    assert json.loads(path.read_text()) == {  # readable before the stream ends
        "frame": 3,
        "name": "000003",
        "time": 0.3,
        "area": {"red": 1.0, "green": 0.0, "blue": 0.0},
    }
    put(sink, shot(colour_contract, 4))
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[1]["area"] == {"red": 0.5, "green": 0.5, "blue": 0.0}


def test_json_lines_on_stdout_leave_it_open(capsys: pytest.CaptureFixture[str], colour_contract: Contract) -> None:
    sink = JsonLinesSink("-")
    put(sink, shot(colour_contract, 0))
    sink.close()
    print("still open")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["frame"] == 0
    assert second == "still open"


def test_a_reader_of_stdout_that_leaves_is_no_error(tmp_path: Path) -> None:
    script = """
import sys
from edgeseg_runtime.sinks import JsonLinesSink
sink = JsonLinesSink("-")
written = 0
while sink.wanted:
    sink.write(None, "x" * 1000)
    written += 1
sink.close()
print(written, file=sys.stderr)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        talk = process.stderr.read()
        assert process.wait(20) == 0
    assert int(talk) >= 1  # and nothing else: no traceback, no "Exception ignored"


def test_without_a_display_a_window_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    problem = window_problem()
    assert problem is not None
    assert "DISPLAY is not set" in problem
    with pytest.raises(OutputError, match="DISPLAY is not set"):
        WindowSink()


def test_a_display_that_does_not_answer_is_found_out_without_aborting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert window_problem() is not None
    with pytest.raises(OutputError):
        WindowSink()


@pytest.mark.parametrize(
    ("returncode", "stderr", "expected"),
    [
        (0, "QFontDatabase: Cannot find font directory", None),
        (1, "cv2.error: The function is not implemented. Rebuild the library", "pip install --force-reinstall opencv"),
        (-6, "qt.qpa.xcb: could not connect to display :9", "display ':9' cannot be opened"),
    ],
)
def test_what_the_trial_window_says_is_understood(
    monkeypatch: pytest.MonkeyPatch, returncode: int, stderr: str, expected: str | None
) -> None:
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr(
        subprocess, "run", lambda *_args, **_options: subprocess.CompletedProcess([], returncode, "", stderr)
    )
    problem = window_problem()
    assert (problem is None) == (expected is None)
    assert expected is None or expected in str(problem)


def test_a_video_that_lost_frames_on_its_way_to_the_disk_is_not_called_good(
    tmp_path: Path, colour_contract: Contract
) -> None:
    """What OpenCV writes to a full disk is lost without a word, so the file is read back."""
    sink = VideoSink(tmp_path / "out.mp4")
    put(sink, *(shot(colour_contract, index) for index in range(20)))
    (written,) = tmp_path.iterdir()
    sink._writer.release()  # type: ignore[union-attr]
    os.truncate(written, written.stat().st_size // 3)
    with pytest.raises(OutputError, match="0 of its 20 frames can be read back"):
        sink.close()
    assert list(tmp_path.iterdir()) == []

    whole = VideoSink(tmp_path / "out.mp4")
    put(whole, *(shot(colour_contract, index) for index in range(20)))
    whole.close()
    assert (tmp_path / "out.mp4").is_file()


class FakeScreen:
    """Stands in for OpenCV's window functions; `key` is what is pressed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[Image] = []
        self.key, self.visible, self.destroyed = -1, 1.0, 0
        monkeypatch.setattr("edgeseg_runtime.sinks.window.window_problem", lambda: None)
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "resizeWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda _title, picture: self.shown.append(picture))
        monkeypatch.setattr(cv2, "pollKey", lambda: self.key)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)
        monkeypatch.setattr(cv2, "destroyAllWindows", self._destroy)

    def _destroy(self) -> None:
        self.destroyed += 1


def test_a_window_shows_the_annotated_frames(monkeypatch: pytest.MonkeyPatch, colour_contract: Contract) -> None:
    screen = FakeScreen(monkeypatch)
    sink, shots = WindowSink(), [shot(colour_contract, index) for index in range(3)]
    put(sink, *shots)
    assert sink.wanted
    sink.close()
    assert all(shown is one.picture for shown, one in zip(screen.shown, shots, strict=True))
    assert screen.destroyed == 1


@pytest.mark.parametrize(("key", "visible"), [(ord("q"), 1.0), (27, 1.0), (0x100000 | ord("q"), 1.0), (-1, 0.0)])
def test_a_window_is_closed_by_q_escape_and_its_button(
    monkeypatch: pytest.MonkeyPatch, colour_contract: Contract, key: int, visible: float
) -> None:
    screen = FakeScreen(monkeypatch)
    sink = WindowSink()
    put(sink, shot(colour_contract))
    assert sink.wanted
    screen.key, screen.visible = key, visible
    sink.idle()
    assert not sink.wanted


def test_masks_are_encoded_by_several_threads_at_once(tmp_path: Path, colour_contract: Contract) -> None:
    sink = MasksSink(tmp_path, colour_contract)
    shots = [shot(colour_contract, index) for index in range(40)]
    with ThreadPoolExecutor(4) as pool:
        for one, encoded in zip(shots, pool.map(sink.encode, shots), strict=True):
            sink.write(one, encoded)
    for one in shots:
        mask = cv2.imread(str(tmp_path / f"{one.frame.name}.png"), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        np.testing.assert_array_equal(mask, one.result.mask)
