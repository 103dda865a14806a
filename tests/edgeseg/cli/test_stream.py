from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edgeseg.cli.app import run
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.stats import STAGES

if TYPE_CHECKING:
    from tests.conftest import ColourClip, TinyModel


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def model(tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel) -> str:
    return str(tiny_model(colour_contract, tmp_path / "model.onnx", stride=4))


@pytest.fixture
def clip(tmp_path: Path, colour_clip: ColourClip) -> str:
    return str(colour_clip(tmp_path / "clip.mp4", 15))


def count_frames(path: Path) -> int:
    capture, frames = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        frames += 1
    return frames


def stream(*arguments: object) -> int:
    return run(["stream", *map(str, arguments)])


def test_several_outputs_at_once(tmp_path: Path, model: str, clip: str, capsys: pytest.CaptureFixture[str]) -> None:
    video, masks, lines = tmp_path / "out.mp4", tmp_path / "masks", tmp_path / "areas.jsonl"
    arguments = ["--model", model, "--source", clip, "--video", video, "--masks", masks, "--jsonl", lines]
    assert stream(*arguments, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["captured"], summary["emitted"], summary["dropped"], summary["ended"]) == (15, 15, 0, "end")
    assert set(summary["stages"]) == set(STAGES)
    assert (summary["engine"], summary["precision"], summary["live"]) == ("onnxruntime", "float32", False)
    assert count_frames(video) == 15
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["frame"] for line in told] == list(range(15))
    for index in range(15):
        mask = cv2.imread(str(masks / f"{index:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        assert set(np.unique(mask)) == {index % 3}
        assert told[index]["area"] == {
            name: float(index % 3 == place) for place, name in enumerate(["red", "green", "blue"])
        }
        assert told[index]["time"] == pytest.approx(index / 10)


def test_the_end_is_told_on_stderr_and_stdout_stays_empty(
    model: str, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream("--model", model, "--source", clip, "--none", "--limit", 4) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{clip}: 4 frames in" in told.err
    assert all(stage in told.err for stage in STAGES)


def test_json_lines_can_be_piped(model: str, clip: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert stream("--model", model, "--source", clip, "--jsonl", "-") == 0
    assert [json.loads(line)["frame"] for line in capsys.readouterr().out.splitlines()] == list(range(15))


@pytest.mark.parametrize("lanes", ["1", "3"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engine_and_lanes_are_flags(
    model: str, clip: str, engine: str, lanes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--engine", engine, "--lanes", lanes, "--threads", "2", "--none", "--json"]
    assert stream("--model", model, "--source", clip, *flags) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["engine"], summary["lanes"], summary["threads"]) == (engine, int(lanes), 2)
    assert summary["emitted"] == 15


def test_without_a_display_and_an_output_it_says_so_and_runs(
    model: str, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream("--model", model, "--source", clip) == 0
    talk = capsys.readouterr().err
    assert "no window" in talk
    assert "nothing is put out" in talk


def test_without_a_display_a_window_alone_is_an_error(
    model: str, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream("--model", model, "--source", clip, "--window") == 2
    talk = capsys.readouterr().err
    assert "DISPLAY is not set" in talk
    assert "--video FILE.mp4" in talk


def test_without_a_display_a_window_beside_other_outputs_is_left_out(
    tmp_path: Path, model: str, clip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream("--model", model, "--source", clip, "--window", "--video", tmp_path / "out.avi") == 0
    assert "no window" in capsys.readouterr().err
    assert count_frames(tmp_path / "out.avi") == 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one of --source and --camera"),
        (["--source", "CLIP", "--camera", "0"], "name one of --source and --camera"),
        (["--source", "CLIP", "--none", "--jsonl", "-"], "--none cannot be combined"),
        (["--source", "CLIP", "--jsonl", "--none"], "--jsonl needs a file, or - for stdout"),
        (["--source", "CLIP", "--json", "--jsonl", "-"], "both write to stdout"),
        (["--source", "CLIP", "--video", "out.mov"], ".mp4 or .avi"),
        (["--source", "CLIP", "--video", "CLIP"], "is what is being read"),
        (["--source", "CLIP", "--jsonl", "CLIP"], "is what is being read"),
        (["--source", "CLIP", "--opacity", "2", "--none"], "opacity must be in 0..1"),
        (["--source", "CLIP", "--limit", "0", "--none"], "limit must be at least 1"),
        (["--source", "CLIP", "--threads", "-1", "--none"], "--threads must be positive"),
        (["--source", "CLIP", "--video-fps", "0", "--video", "out.mp4"], "--video-fps"),
        (["--source", "missing.mp4"], "there is no file or folder missing.mp4"),
        (["--source", "rtsp://joe:hunter2@127.0.0.1:9/x"], "rtsp://***@127.0.0.1:9/x cannot be opened"),
        (["--camera", "97"], "camera 97 cannot be opened"),
        (["--source", "CLIP", "--device", "tpu", "--none"], "no device 'tpu'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    model: str, clip: str, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = Path(clip).read_bytes()
    assert stream("--model", model, *[clip if value == "CLIP" else value for value in arguments]) == 2
    told = capfd.readouterr()
    assert message in " ".join(told.err.split())
    assert "Traceback" not in told.err
    assert "hunter2" not in told.err + told.out
    assert Path(clip).read_bytes() == before


def test_masks_never_land_on_the_pictures(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((8, 8, 3), np.uint8))
    before = (folder / "a.png").read_bytes()
    for source in (folder, folder / "a.png", folder / "*.png"):
        assert stream("--model", model, "--source", source, "--masks", folder) == 2
        assert "is what is being read" in capsys.readouterr().err
    assert (folder / "a.png").read_bytes() == before


def test_a_clip_that_gives_no_frame_is_an_error(
    tmp_path: Path, model: str, colour_clip: ColourClip, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = colour_clip(tmp_path / "whole.mp4").read_bytes()
    start, end = whole.find(b"mdat") + 4, whole.find(b"moov") - 4
    (tmp_path / "empty.mp4").write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    assert stream("--model", model, "--source", tmp_path / "empty.mp4", "--video", tmp_path / "out.mp4") == 2
    assert "opened but gave no frame" in capfd.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


def test_a_clip_that_is_cut_off_is_remarked(
    tmp_path: Path, model: str, colour_clip: ColourClip, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = colour_clip(tmp_path / "whole.mkv", 40).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    assert stream("--model", model, "--source", tmp_path / "cut.mkv", "--none", "--json") == 0
    told = capfd.readouterr()
    summary = json.loads(told.out)
    assert summary["remarks"] == [
        f"{tmp_path}/cut.mkv declares 40 frames but gave {summary['emitted']}: it is cut off or damaged"
    ]
    assert summary["remarks"][0] in told.err


def test_pictures_of_two_sizes_do_not_fit_one_video(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, size in (("a", 32), ("b", 32), ("c", 48)):
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((size, size, 3), np.uint8))
    assert stream("--model", model, "--source", folder, "--video", tmp_path / "out.mp4") == 2
    assert "c is 48×48 and the first frame was 32×32" in capsys.readouterr().err
    assert count_frames(tmp_path / "out.mp4") == 2


class Running:
    """`edgeseg stream` in a process of its own, waited for until it has written some lines."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.lines, self.video = folder / "areas.jsonl", folder / "out.avi"
        environment = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
        outputs = ["--jsonl", str(self.lines), "--video", str(self.video), "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from edgeseg.cli import main; main()", "stream", *arguments, *outputs],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def wait_for_lines(self, count: int) -> None:
        while not self.lines.exists() or self.lines.read_bytes().count(b"\n") < count:
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def end(self, number: signal.Signals) -> tuple[int, dict[str, Any]]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=10)
        assert b"Traceback" not in err
        return self.process.returncode, json.loads(out)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_recording_with_whole_files(
    tmp_path: Path, model: str, colour_clip: ColourClip, number: signal.Signals
) -> None:
    long = colour_clip(tmp_path / "long.mp4", 6000)
    running = Running(tmp_path, "--model", model, "--source", str(long))
    running.wait_for_lines(20)
    code, summary = running.end(number)
    assert (code, summary["ended"]) == (130, "interrupted")
    assert 20 <= summary["emitted"] < 6000
    assert summary["captured"] == summary["emitted"] + summary["dropped"]
    told = [json.loads(line)["frame"] for line in running.lines.read_text().splitlines()]
    assert told == list(range(summary["emitted"]))
    assert count_frames(running.video) == summary["emitted"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("path", ["live/100000", "stall/40"], ids=["live", "stalled"])
def test_a_signal_is_the_end_a_live_stream_has(
    tmp_path: Path, model: str, serve: Callable[[str], str], number: signal.Signals, path: str
) -> None:
    running = Running(tmp_path, "--model", model, "--source", serve(path))
    running.wait_for_lines(1)
    if path.startswith("stall"):
        time.sleep(1.5)  # by now the camera has sent its last frame, and the reader waits for the next
    code, summary = running.end(number)
    assert (code, summary["ended"], summary["live"]) == (0, "interrupted", True)
    assert summary["emitted"] >= 1
    assert summary["captured"] == summary["emitted"] + summary["dropped"]
    assert len(running.lines.read_text().splitlines()) == summary["emitted"]
    assert count_frames(running.video) >= 1  # kept in time: 25 a second, and the camera gives 50


def test_on_a_terminal_a_line_is_kept_up_to_date(
    model: str, serve: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert stream("--model", model, "--source", serve("live/1000"), "--none", "--limit", "70") == 0
    shown = [text for text in capsys.readouterr().err.split("\r") if " fps · " in text and "age" in text]
    assert shown
    assert "dropped" in shown[0]
