from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest

from edgeseg.cli.app import run
from edgeseg_runtime.contract import Contract, Output
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.folder import Files
from edgeseg_runtime.sinks.masks import MasksSink
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
        ([], "name what to stream with --source or --camera"),
        (["--source", "CLIP", "--camera", "0"], "only cameras and live streams can be several"),
        (["--source", "rtsp://a/1", "--source", "CLIP"], "only cameras and live streams can be several"),
        (["--source", "a=rtsp://a/1", "--source", "a=rtsp://b/1"], "two sources are called 'a'"),
        (["--source", "rtsp://a/1", "--camera", "0", "--video", "out.mp4"], "--video holds one camera"),
        (["--source", "CLIP", "--web", "8080"], "--web is for cameras and live streams"),
        (["--source", "CLIP", "--record", "rec", "--record-on", "manual"], "--record is for cameras"),
        (["--source", "CLIP", "--smooth"], "--smooth is for cameras and live streams"),
        (["--source", "CLIP", "--adapt"], "--adapt is for cameras and live streams"),
        (["--source", "CLIP", "--virtual-camera", "/dev/video9"], "--virtual-camera is for cameras and live streams"),
        (["--source", "CLIP", "--frozen-after", "0"], "--frozen-after is for cameras and live streams"),
        (["--camera", "0", "--record-on", "manual"], "--record-on needs --record FOLDER"),
        (["--camera", "0", "--record-segment", "5"], "--record-segment needs --record FOLDER"),
        (["--camera", "0", "--record", "REC", "--record-segment", "0.5"], "--record-segment must be 1 to 3600 seconds"),
        (["--camera", "0", "--web-token-file", "token"], "--web-token-file is for the viewer"),
        (["--camera", "0", "--rtsp-transport", "udp"], "--rtsp-transport is for rtsp://"),
        (["--camera", "0", "--ca-file", "ca.pem"], "--ca-file is for https://"),
        (["--source", "https://127.0.0.1:9/", "--ca-file", "ca.pem"], "--ca-file ca.pem cannot be read: No such file"),
        (["--camera", "0", "--frozen-after", "-1"], "--frozen-after must be a number of seconds"),
        (["--camera", "0", "--camera", "1", "--virtual-camera", "/dev/v"], "--virtual-camera shows one camera"),
        (["--camera", "0", "--none", "--virtual-camera", "/dev/v"], "--none cannot be combined"),
        (["--camera", "0", "--virtual-camera", "/dev/video99"], "needs the v4l2loopback module"),
        (["--camera", "0", "--virtual-camera", "/dev/null"], "/dev/null is no video device"),
        (["--camera", "0", "--none", "--zones", "missing.yaml"], "--zones: there is no file missing.yaml"),
        (["--camera", "0", "--none", "--adapt"], "--adapt needs a model whose input size is open"),
        (["--camera", "0", "--record", "rec", "--record-quota", "10"], "a size such as 500MB or 10GB"),
        (["--camera", "0", "--model-memory", "2"], "--model-memory is a size"),
        (["--camera", "0", "--model-load-time", "0"], "--model-load-time must be above 0"),
        (["--camera", "0", "--none", "--model-memory", "1kB"], "--model-memory must be at least 64MB"),
        (["--camera", "0", "--also", "MODEL"], "--also is for the viewer"),
        (["--camera", "0", "--background", "blur"], "--background and --foreground go together"),
        (["--camera", "0", "--lanes", "2"], "--lanes is for recordings"),
        (["--camera", "0", "--none", "--record", "REC", "--record-on", "cow>5%"], "cow"),
        (["--camera", "0", "--none", "--blur", "cow"], "cow"),
        (["--camera", "0", "--none", "--web", "example.org:1"], "what is listened on is an IP address"),
        (["--camera", "0", "--none", "--webhook", "ftp://joe:hunter2@x/"], "http"),
        (["--camera", "0", "--device", "tpu", "--none"], "no device 'tpu'"),
        (["--camera", "0", "--opacity", "2", "--none"], "opacity must be in 0..1"),
        (["--source", "spam://joe:hunter2@x/"], "spam://"),
        (["--source", "rtsp://joe:a@hunter2/x@127.0.0.1:9/live"], "write @ as %40"),
        (["--source", "http://joe:hunter2#x@127.0.0.1:9/"], "write @ as %40"),
        (["--source", "rtsp://127.0.0.1:99999/x"], "no host and port"),
        (["--source", "rtsp:///"], "a host is missing"),
        (["--source", "joe:hunter2@127.0.0.1:9"], "there is no file or folder ***@127.0.0.1:9"),
        (["--source", "a b=rtsp://127.0.0.1/"], "a name is letters"),
        (["--camera", "0", "--web", "0", "--also", "missing"], "there is no model at missing"),
        (["--source", "CLIP", "--none", "--jsonl", "-"], "--none cannot be combined"),
        (["--source", "CLIP", "--jsonl", "--none"], "--jsonl needs a file, or - for stdout"),
        (["--source", "CLIP", "--json", "--jsonl", "-"], "both write to stdout"),
        (["--source", "CLIP", "--video", "out.mov"], ".mp4 or .avi"),
        (["--source", "CLIP", "--video", "CLIP"], "is what is being read"),
        (["--source", "CLIP", "--jsonl", "CLIP"], "is what is being read"),
        (["--source", "CLIP", "--zones", "ZONES", "--events", "CLIP"], "is what is being read"),
        (["--source", "CLIP", "--events", "e.jsonl"], "--events needs one"),
        (["--source", "CLIP", "--zones", "ZONES", "--events", "-", "--json"], "both write to stdout"),
        (["--source", "CLIP", "--zones", "missing.yaml"], "the zones missing.yaml cannot be read"),
        (["--source", "CLIP", "--zones", "EMPTY"], "has no zones"),
        (["--source", "CLIP", "--zones", "SEVERAL"], "is about door, yard; say which made this: --source NAME=FILE"),
        (["--source", "CLIP", "--webhook", "http://127.0.0.1:9/"], "--webhook is for cameras and live streams"),
        (["--source", "CLIP", "--opacity", "2", "--none"], "opacity must be in 0..1"),
        (["--source", "CLIP", "--limit", "0", "--none"], "limit must be at least 1"),
        (["--source", "CLIP", "--threads", "-1", "--none"], "--threads must be positive"),
        (["--source", "CLIP", "--video-fps", "0", "--video", "out.mp4"], "--video-fps"),
        (["--source", "missing.mp4"], "there is no file or folder missing.mp4"),
        (["--source", "CLIP", "--device", "tpu", "--none"], "no device 'tpu'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, model: str, clip: str, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before, there = Path(clip).read_bytes(), {"CLIP": clip, "MODEL": model, "REC": str(tmp_path / "rec")}
    for name, cameras in (("ZONES", ["door"]), ("SEVERAL", ["door", "yard"]), ("EMPTY", [])):
        file = tmp_path / f"{name}.yaml"
        zone = "[{name: all, points: [[0, 0], [1, 0], [1, 1]]}]"
        file.write_text("cameras: {" + ", ".join(f"{camera}: {zone}" for camera in cameras) + "}")
        there[name] = str(file)
    assert stream("--model", model, *[there.get(value, value) for value in arguments]) == 2
    told = capfd.readouterr()
    assert message in " ".join(told.err.split())
    assert "Traceback" not in told.err
    assert "hunter2" not in told.err + told.out
    assert Path(clip).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--web", "example.org:1"], "what is listened on is an IP address"),
        (["--web", "99999"], "port must be 0 to 65535"),
        (["--web", "TAKEN"], "--web cannot listen on 127.0.0.1 port"),
        (["--metrics", "TAKEN"], "--metrics cannot listen on 127.0.0.1 port"),
        (["--metrics", "192.0.2.1:0"], "--metrics cannot listen on 192.0.2.1 port 0: Cannot assign"),
        (["--web", "FREE", "--metrics", "FREE"], "--metrics cannot listen on 127.0.0.1 port"),
        (["--web", "0", "--web-token-file", "CLIP"], "must hold one token"),
        (["--web", "0", "--zones", "CLIP/in/a/file.yaml"], "cannot be written: Not a directory"),
        (["--web", "0", "--zones", "/proc/zones/z.yaml"], "the zones /proc/zones/z.yaml cannot be written"),
        (["--web", "0", "--zones", "FOLDER"], "cannot be read: Is a directory"),
        (["--zones", "CLIP"], "clip.mp4: this is not YAML"),
        (["--background", "missing.png", "--foreground", "red"], "missing.png"),
        (["--virtual-camera", "/dev/video99"], "/dev/video99 cannot be opened"),
    ],
)
def test_what_does_not_need_the_model_is_refused_before_it_is_loaded(
    tmp_path: Path,
    clip: str,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "folder").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
        other.close()
        there = {"TAKEN": str(taken.getsockname()[1]), "FREE": str(free), "FOLDER": str(tmp_path / "folder")}
        given = [there.get(value, value.replace("CLIP", clip)) for value in arguments]
        # there is no such model, and that is not what is told
        none = [] if "--virtual-camera" in arguments else ["--none"]
        assert stream("--model", "missing.onnx", "--camera", "0", *none, *given) == 2
    told = capsys.readouterr().err
    assert message in told and "missing.onnx" not in told


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
    (camera,) = summary["cameras"]
    account = camera["account"]
    assert account["inferred"] >= 1 and account["in_flight"] == 0
    assert account["captured"] == account["inferred"] + account["failed"] + sum(account["dropped"].values())
    written = {output["name"]: output["written"] for output in summary["outputs"]}
    assert len(running.lines.read_text().splitlines()) == written["jsonl"] >= 1
    assert count_frames(running.video) >= 1  # kept in time: 25 a second, and the camera gives 50


@pytest.mark.timeout(120)
def test_an_impatient_second_ctrl_c_loses_nothing(tmp_path: Path, model: str, serve: Callable[[str], str]) -> None:
    rec = tmp_path / "rec"
    running = Running(tmp_path, "--model", model, "--source", serve("live/100000"), "--record", str(rec))
    running.wait_for_lines(20)
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    code, summary = running.end(signal.SIGINT)
    assert (code, summary["ended"]) == (0, "interrupted")
    assert [file.suffix for file in rec.iterdir() if file.is_file()] == [".mp4"]
    assert not [file for file in rec.iterdir() if file.name.startswith(".")]


@pytest.mark.timeout(120)
def test_a_ctrl_c_held_down_until_the_process_is_gone_does_not_change_the_exit_code(
    tmp_path: Path, model: str, serve: Callable[[str], str]
) -> None:
    """Python drops its handlers while it takes itself apart: a signal that comes then must not kill it."""
    running = Running(tmp_path, "--model", model, "--source", serve("live/100000"))
    running.wait_for_lines(5)
    while running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    code, summary = running.end(signal.SIGINT)
    assert (code, summary["ended"]) == (0, "interrupted")


@pytest.mark.timeout(120)
def test_an_absent_camera_is_waited_for_without_its_password_being_told(tmp_path: Path, model: str) -> None:
    running = Running(tmp_path, "--model", model, "--source", "door=rtsp://joe:hunter2@127.0.0.1:9/x")
    told = b""
    assert running.process.stderr is not None
    while b"refused" not in told:
        told += os.read(running.process.stderr.fileno(), 1000)
        assert running.process.poll() is None
    running.process.send_signal(signal.SIGTERM)
    out, err = running.process.communicate(timeout=10)
    assert running.process.returncode == 0
    assert b"door" in told and b"hunter2" not in told + err + out
    (camera,) = json.loads(out)["cameras"]
    assert (camera["name"], camera["title"], camera["reason"]) == ("door", "rtsp://***@127.0.0.1:9/x", "refused")
    assert camera["account"]["captured"] == 0


@pytest.mark.timeout(120)
def test_a_live_stream_with_all_its_outputs(tmp_path: Path, model: str, serve: Callable[[str], str]) -> None:
    """Two cameras, recorded, watched in zones, shown in the viewer, told to the event log."""
    zones = tmp_path / "zones.yaml"
    zones.write_text("cameras: {one: [{name: all, points: [[0, 0], [1, 0], [1, 1], [0, 1]]}]}")
    events, rec = tmp_path / "events.jsonl", tmp_path / "rec"
    arguments = ["--record", str(rec), "--zones", str(zones), "--events", str(events), "--web", "0", "--metrics", "0"]
    sources = ["--source", f"one={serve('live/100000')}", "--source", f"two={serve('live/100000')}"]
    lines = tmp_path / "areas.jsonl"
    assert stream("--model", model, *sources, *arguments, "--jsonl", lines, "--limit", 240, "--every-frame") == 0
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {line["camera"] for line in told} == {"one", "two"}
    assert all(line["mask_lag"] >= 0 for line in told)
    kinds = [json.loads(line)["kind"] for line in events.read_text().splitlines()]
    assert {"source.state", "record.started", "record.segment", "record.stopped"} <= set(kinds)
    files = sorted(rec.glob("*.mp4"))
    assert {file.stem.split("_")[1] for file in files} == {"one", "two"}
    assert sum(count_frames(file) for file in files) >= 30


def test_zones_of_a_camera_that_is_not_there_are_remarked(
    tmp_path: Path, model: str, serve: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    zones = tmp_path / "zones.yaml"
    zones.write_text("cameras: {yard: [{name: all, points: [[0, 0], [1, 0], [1, 1]]}]}")
    assert stream("--model", model, "--source", f"door={serve('live/1000')}", "--zones", zones, "--limit", 2) == 0
    assert "has zones of yard, which this stream has not" in capsys.readouterr().err


def test_on_a_terminal_a_line_is_kept_up_to_date(
    model: str, serve: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert stream("--model", model, "--source", serve("live/1000"), "--none", "--limit", "70") == 0
    shown = [text for text in capsys.readouterr().err.split("\r") if " fps · " in text and "age" in text]
    assert shown
    assert "dropped" in shown[0]


@pytest.mark.parametrize("output", ["scores", "mask"])
def test_smoothing_is_off_unless_asked_for_and_told_at_the_end(
    tmp_path: Path,
    colour_contract: Contract,
    tiny_model: TinyModel,
    output: Output,
    serve: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tiny_model(replace(colour_contract, output=output), tmp_path / "model.onnx")
    camera = ["--source", serve("live/1000"), "--none", "--limit", "5"]
    assert stream("--model", model, *camera, "--smooth") == 0
    assert "masks smoothed over time" in capsys.readouterr().err
    assert stream("--model", model, *camera, "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["model"]["smoothed"] is False and "smoothed" not in told.err


def test_a_model_whose_size_is_open_gets_smaller_while_frames_come_too_fast_for_it(
    tmp_path: Path,
    colour_contract: Contract,
    tiny_model: TinyModel,
    serve: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("edgeseg_runtime.temporal.adaptive.DOWN", 1e-6)  # no model is as quick as that
    colours: dict[str, int] = {}
    encode = MasksSink.encode

    def noting_colours(sink: MasksSink, shot: Shot) -> Files:
        colours[shot.frame.name] = 2 - int(shot.frame.image.mean((0, 1)).argmax())  # frames are BGR
        return encode(sink, shot)

    monkeypatch.setattr(MasksSink, "encode", noting_colours)
    path = tiny_model(colour_contract, tmp_path / "open.onnx", stride=2)
    net = onnx.load(path)
    for value, place in ((net.graph.input[0], 1), (net.graph.output[0], 2)):
        for axis, name in ((place, "rows"), (place + 1, "columns")):
            value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name} {name}"
    onnx.save(net, path)
    masks, events = tmp_path / "masks", tmp_path / "events.jsonl"
    arguments = ["--source", serve("live/1000"), "--masks", masks, "--events", events, "--limit", 60, "--adapt"]
    assert stream("--model", path, *arguments, "--json") == 0
    told = capsys.readouterr()
    answer = json.loads(told.out)
    sizes, reused = answer["model"]["sizes"], answer["cameras"][0]["account"]["reused"]
    assert list(sizes) == ["12×16", "18×24", "24×32"] and sum(sizes.values()) >= 60
    assert sizes["24×32"] >= 5 and sizes["12×16"] >= 5
    resized = [line for line in map(json.loads, events.read_text().splitlines()) if line["kind"] == "model.resized"]
    assert [(line["height"], line["width"]) for line in resized] == [(18, 24), (12, 16)]
    assert "model.resized: " in told.err
    assert reused == 0 and set(colours.values()) == {0, 1, 2}
    files = {file.stem: file for file in masks.glob("*.png")}
    assert files and files.keys() <= colours.keys()
    for name, file in files.items():  # whatever the size, masks are the frame's, and right
        mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert mask is not None and mask.shape == (48, 64)
        # A frame's number does not tell its colour: frames that waited too long on their way are not counted.
        assert set(np.unique(mask)) == {colours[name]}


def test_the_token_of_a_file_opens_the_viewer_and_is_not_printed(
    tmp_path: Path, model: str, serve: Callable[[str], str]
) -> None:
    token = "a-token-of-my-own-123"
    (tmp_path / "token").write_text(token + "\n")
    web = ["--web", "127.0.0.1:0", "--web-token-file", str(tmp_path / "token")]
    running = Running(tmp_path, "--model", model, "--source", serve("live/100000"), *web)
    running.wait_for_lines(1)
    told = b""
    assert running.process.stderr is not None
    while b"viewer: " not in told:
        told += os.read(running.process.stderr.fileno(), 1000)
    line = next(line for line in told.decode().splitlines() if line.startswith("viewer: "))
    url = line.split()[1].partition("?")[0]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}api/status", timeout=5)
    refused.value.close()
    assert refused.value.code == 401
    asked = urllib.request.Request(f"{url}api/status", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        assert answer.status == 200
    running.process.send_signal(signal.SIGINT)
    out, err = running.process.communicate(timeout=10)
    assert running.process.returncode == 0
    assert token.encode() not in told + out + err and "token" in line


def test_zones_can_be_drawn_into_a_folder_that_is_not_there_yet(
    tmp_path: Path, model: str, serve: Callable[[str], str]
) -> None:
    zones = tmp_path / "site" / "zones.yaml"
    camera = ["--source", serve("live/1000"), "--limit", 2, "--jsonl", tmp_path / "areas.jsonl"]
    assert stream("--model", model, *camera, "--web", "0", "--zones", zones) == 0
    assert zones.parent.is_dir() and not any(zones.parent.iterdir())


def test_files_hold_as_many_seconds_as_was_asked_for(tmp_path: Path, model: str, serve: Callable[[str], str]) -> None:
    rec = tmp_path / "rec"
    arguments = ["--source", serve("live/1000"), "--limit", 120, "--record", rec, "--record-segment", 1]
    assert stream("--model", model, *arguments) == 0  # at 50 frames a second that is more than two seconds
    assert len(list(rec.glob("*.mp4"))) >= 3


def test_a_virtual_camera_shows_the_pictures(
    tmp_path: Path,
    model: str,
    serve: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file stands in for the device, and agrees to every format."""
    device = tmp_path / "video9"
    device.touch()
    place = "edgeseg_runtime.privacy.virtual_camera"
    monkeypatch.setattr(f"{place}._open", lambda path: os.open(path, os.O_RDWR | os.O_APPEND))
    monkeypatch.setattr(f"{place}.fcntl.ioctl", lambda _fd, _number, data: data)
    arguments = ["--virtual-camera", device, "--opacity", "0", "--limit", "6", "--json"]
    assert stream("--model", model, "--source", serve("live/1000"), *arguments) == 0
    (output,) = json.loads(capsys.readouterr().out)["outputs"]
    frames = np.frombuffer(device.read_bytes(), np.uint8).reshape(-1, 72, 64)
    assert output["name"] == "virtual camera" and output["written"] == len(frames) >= 1
    for frame in frames:  # red, green or blue, as the camera gives it
        picture = cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420)
        assert sorted(picture.reshape(-1, 3).mean(0).round(-1).tolist())[2] >= 200


ZONES = "cameras: {door: [{name: left, points: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}]}"


def test_zones_of_a_recording_are_measured_and_its_events_have_its_own_time(
    tmp_path: Path, model: str, colour_clip: ColourClip, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two seconds of red, green, blue in turn, then a second of red alone."""
    clip, zones, events, table = (tmp_path / name for name in ("clip.avi", "z.yaml", "e.jsonl", "f.jsonl"))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(60):
        left = index if 20 <= index < 40 else 0
        frame = np.full((48, 64, 3), 30, np.uint8)
        frame[:, 32:, 2] = 220
        frame[:, :32, 1 if left else 2] = 220
        cv2.imwrite(str(pictures / f"{index:03d}.png"), frame)
    zones.write_text(ZONES)
    arguments = ["--zones", zones, "--events", events, "--jsonl", table, "--lanes", "3"]
    assert stream("--model", model, "--source", pictures, *arguments) == 0
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert [(one["kind"], one["class"], one["frame"], one["time"]) for one in told] == [
        ("zone.enter", "red", 13, None),
        ("zone.leave", "red", 33, None),
        ("zone.enter", "green", 33, None),
        ("zone.enter", "red", 53, None),
        ("zone.leave", "green", 53, None),
        ("zone.leave", "red", 59, None),
    ]
    assert {one["source"] for one in told} == {"source1"}
    measured = [json.loads(line)["zones"]["left"] for line in table.read_text().splitlines()]
    assert [one["green"] for one in measured] == [float(20 <= index < 40) for index in range(60)]
    shown = capsys.readouterr().err
    assert "zone left: 66.7% red, 33.3% green" in shown and str(events) in shown

    colour_clip(clip, 30)  # ten frames a second
    assert stream("--model", model, "--source", f"door={clip}", "--zones", zones, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["zones"]["left"] == pytest.approx({"red": 1 / 3, "green": 1 / 3, "blue": 1 / 3}, abs=1e-6)
    assert "counts" not in summary


def test_events_of_a_recording_alone_open_no_window_and_can_be_piped(
    tmp_path: Path, model: str, colour_clip: ColourClip, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, zones = colour_clip(tmp_path / "clip.avi", 1), tmp_path / "z.yaml"
    zones.write_text(ZONES)
    folder = tmp_path / "stills"
    folder.mkdir()
    capture = cv2.VideoCapture(str(clip))
    picture = capture.read()[1]
    for index in range(16):
        cv2.imwrite(str(folder / f"{index:02d}.png"), picture)
    assert stream("--model", model, "--source", f"door={folder}", "--zones", zones, "--events", "-") == 0
    told = capsys.readouterr()
    kinds = [(one["kind"], one["source"], one["frame"]) for one in map(json.loads, told.out.splitlines())]
    assert kinds == [("zone.enter", "door", 13), ("zone.leave", "door", 15)]
    assert "no window" not in told.err
