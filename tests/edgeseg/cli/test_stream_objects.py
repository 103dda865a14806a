"""Objects of a stream, from the command line to the files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgeseg.cli.app import run
from edgeseg_runtime.contract import Contract, Selection
from tests.instance_model import instance_contract, write_instance_model

if TYPE_CHECKING:
    from tests.conftest import TinyModel


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Finds an object in each block of 16×16 pixels that is not dark; sure from half the brightness on."""
    contract = instance_contract(selection=Selection((0.5, 0.5, 0.5)))
    return str(write_instance_model(contract, tmp_path / "objects.onnx"))


@pytest.fixture
def semantic(tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel) -> str:
    return str(tiny_model(colour_contract, tmp_path / "classes.onnx", stride=4))


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """Eight of 64×48: a red block that stands still, a green one that is there for five, dimmed in the fourth."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(8):
        image = np.zeros((48, 64, 3), np.uint8)
        image[16:32, 16:32, 2] = 250
        if index < 5:
            image[:16, 48:] = (40, 120, 0) if index == 3 else (0, 240, 0)
        cv2.imwrite(str(folder / f"{index:03d}.png"), image)
    return str(folder)


def stream(*arguments: object) -> int:
    return run(["stream", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_recordings_objects_are_followed_into_every_file(
    tmp_path: Path, model: str, pictures: str, lanes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    table, data, lines, video = (tmp_path / name for name in ("o.csv", "o.json", "o.jsonl", "o.avi"))
    outputs = ["--csv", table, "--coco", data, "--jsonl", lines, "--video", video]
    arguments = ["--track", "--count-line", "middle=0,0.5,1,0.5", "--lanes", lanes, "--json"]
    assert stream("--model", model, "--source", pictures, *outputs, *arguments) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["counts"] == {
        "objects": {"red": 1},
        "lines": {"middle": {"in": {}, "out": {}}},
        "zones": {},
    }
    found = rows(table)
    assert [row["id"] for row in found if row["class"] == "red"] == ["", *7 * ["1"]]
    assert [row["id"] for row in found if row["class"] == "green"] == ["", *4 * ["2"]]
    coco = json.loads(data.read_text())
    assert len(coco["images"]) == 8 and len(coco["annotations"]) == 13
    assert sum(one.get("track_id") == 2 for one in coco["annotations"]) == 4
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [len(line["objects"]) for line in told] == 5 * [2] + 3 * [1]
    assert told[4]["objects"][0]["box"] == [16, 16, 32, 32]
    assert "mask" not in told[0]["objects"][0]
    assert video.stat().st_size > 1000


def test_a_recordings_objects_are_counted_in_zones_by_its_own_time(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two blocks with their feet in the lower half, one of them for a second only."""
    clip, zones, events, lines = (tmp_path / name for name in ("clip.avi", "z.yaml", "e.jsonl", "o.jsonl"))
    writer = cv2.VideoWriter(str(clip), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for index in range(20):
        image = np.zeros((48, 64, 3), np.uint8)
        image[16:32, 16:32, 2] = 250
        if index < 10:
            image[32:, 48:, 1] = 250
        writer.write(image)
    writer.release()
    zones.write_text("cameras: {any: [{name: floor, points: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}]}")
    outputs = ["--events", events, "--jsonl", lines, "--zones", zones]
    assert stream("--model", model, "--source", clip, "--track", *outputs, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["counts"]["zones"] == {"floor": {"inside": {"red": 1}, "entered": {"red": 1, "green": 1}}}
    assert set(summary["zones"]["floor"]) == {"red", "green", "blue"}
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert all(one["time"] == one["frame"] / 10 for one in told)
    objects = [(one["kind"], one["class"], one["frame"]) for one in told if one["kind"].startswith("object")]
    assert sorted(objects[:2]) == [("object.entered", "green", 4), ("object.entered", "red", 4)]
    assert sorted(objects[2:]) == [("object.left", "green", 19), ("object.left", "red", 19)]
    assert ("zone.enter", "green", 5) in [(one["kind"], one.get("class"), one["frame"]) for one in told]
    assert [json.loads(line)["counts"]["zones"]["floor"]["inside"] for line in lines.read_text().splitlines()][8] == {
        "red": 1,
        "green": 1,
    }


def test_without_tracking_only_what_is_sure_is_there_and_nobody_has_an_id(
    tmp_path: Path, model: str, pictures: str
) -> None:
    table, lines = tmp_path / "o.csv", tmp_path / "o.jsonl"
    assert stream("--model", model, "--source", pictures, "--csv", table, "--jsonl", lines, "--jsonl-masks") == 0
    found = rows(table)
    assert {row["id"] for row in found} == {""}
    assert [row["frame"] for row in found if row["class"] == "green"] == ["0", "1", "2", "4"]
    line = json.loads(lines.read_text().splitlines()[0])
    assert "counts" not in line and line["objects"][0]["mask"]["size"] == [48, 64]


def test_what_was_counted_is_told_at_the_end(model: str, pictures: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert stream("--model", model, "--source", pictures, "--none", "--count-line", "middle=0,0.5,1,0.5") == 0
    assert "line middle: in 0; out 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [["--track"], ["--count-line", "a=0,0,1,1"], ["--csv", "o.csv"], ["--coco", "o.json"], ["--jsonl-masks"]],
    ids=lambda flags: flags[0],
)
def test_a_model_of_classes_is_refused_in_one_line(
    tmp_path: Path,
    semantic: str,
    pictures: str,
    flags: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    more = ["--jsonl", "o.jsonl"] if flags[0] == "--jsonl-masks" else []
    assert stream("--model", semantic, "--source", pictures, *flags, *more) == 2
    told = capsys.readouterr().err
    assert f"{flags[0]} is about objects" in told and told.strip().count("\n") == 0
    assert not list(tmp_path.glob("o.*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count-line", "door"], "a line is NAME=x0,y0,x1,y1"),
        (["--count-line", "a=0,0,1,1", "--count-line", "a=0,1,1,0"], "two lines are named 'a'"),
        (["--count-line", "a=0,0,1,2"], "must be in 0..1"),
        (["--jsonl-masks"], "--jsonl-masks needs --jsonl"),
        (["--none", "--csv", "o.csv"], "--none cannot be combined"),
        (["--coco", "."], "is a folder"),
    ],
)
def test_flags_that_mean_nothing_are_refused(
    model: str, pictures: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream("--model", model, "--source", pictures, *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_live_camera_has_no_end_to_write_a_data_set_at(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert stream("--model", model, "--source", "rtsp://10.0.0.7/1", "--coco", "o.json") == 2
    assert "--coco holds a recording" in capsys.readouterr().err


def test_objects_of_a_live_camera(
    tmp_path: Path, model: str, serve: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    table, lines, zones = tmp_path / "o.csv", tmp_path / "o.jsonl", tmp_path / "zones.yaml"
    zones.write_text("cameras: {door: [{name: all, points: [[0, 0], [1, 0], [1, 1], [0, 1]]}]}")
    source = f"door={serve('live/1000')}"
    flags = ["--track", "--count-line", "middle=0,0.5,1,0.5", "--zones", zones, "--limit", "8", "--json"]
    assert stream("--model", model, "--source", source, "--csv", table, "--jsonl", lines, *flags) == 0
    counts = json.loads(capsys.readouterr().out)["cameras"][0]["counts"]
    assert set(counts["lines"]) == {"middle"} and set(counts["zones"]) == {"all"}
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(told) == 8
    assert all(len(line["objects"]) == 12 for line in told)  # pictures of one colour: every block is an object
    found = rows(table)
    assert len(found) == 8 * 12 and {row["camera"] for row in found} == {"door"}


@pytest.mark.parametrize(
    ("flags", "instance", "message"),
    [
        (["--smooth"], True, "--smooth steadies masks of classes"),
        (["--track"], False, "--track follows objects"),
        (["--csv", "o.csv"], False, "--csv is about objects"),
    ],
)
def test_what_a_live_model_cannot_do_is_refused_in_one_line(
    tmp_path: Path,
    model: str,
    semantic: str,
    serve: Callable[[str], str],
    flags: list[str],
    instance: bool,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = model if instance else semantic
    flags = [*(["--none"] if len(flags) == 1 else []), *flags]
    assert stream("--model", chosen, "--source", serve("live/1000"), *flags) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1 and message in told[0]


def test_objects_are_carried_where_every_frame_is_shown(
    tmp_path: Path, model: str, serve: Callable[[str], str]
) -> None:
    lines = tmp_path / "o.jsonl"
    flags = ["--every-frame", "--track", "--skip-static", "--limit", "12"]
    assert stream("--model", model, "--source", serve("live/1000"), "--jsonl", lines, *flags) == 0
    assert len(lines.read_text().splitlines()) == 12
