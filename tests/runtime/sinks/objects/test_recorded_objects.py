"""Rows, data sets and JSON lines of the objects of a stream."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.events import Events
from edgeseg_runtime.instances.following import Follower, Following
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.result import Result, SemanticResult
from edgeseg_runtime.sinks import JsonLinesSink
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.objects import CocoRecordingSink, CsvSink
from edgeseg_runtime.sources.base import Frame
from tests.runtime.instances.scripted import CONTRACT, PERSON, TIMES, Thing, at, scripted

EMPTY = Thing((5.0, 5.0, 15.0, 15.0), score=0.6, values=np.full((2, 2), -1, np.float32))
TABLE = color_table(CONTRACT)


def shot(index: int, result: Result, *, position: bool = True, camera: str = "", fresh: bool = True) -> Shot:
    image = np.zeros((120, 160, 3), np.uint8)
    frame = Frame(index, image, time.monotonic(), index / 10 if position else None, f"{index:06d}", camera)
    return Shot(frame, result, TABLE, 0.5, fresh=fresh, masked_at=frame.captured_at - 0.1)


def results() -> list[InstanceResult]:
    things = [
        [at(40, 80, score=0.9), at(100, 80, label=PERSON, score=0.75, values=np.tri(9, dtype=np.float32) - 0.5)],
        [],
        [at(42.5, 80, score=0.9), EMPTY],
    ]
    return [replace(scripted(ones), ids=ids) for ones, ids in zip(things, [(0, 4), (), (7, 0)], strict=True)]


def put(sink: Sink[object], shots: list[Shot]) -> None:
    for one in shots:
        sink.write(one, sink.encode(one))
    sink.close()


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def semantic() -> SemanticResult:
    contract = replace(CONTRACT, task="semantic", output="scores", selection=None)
    return SemanticResult(np.zeros((120, 160), np.uint8), contract, TIMES)


def test_a_row_for_each_object(tmp_path: Path) -> None:
    path = tmp_path / "new" / "objects.csv"
    put(CsvSink(path), [shot(index, result) for index, result in enumerate(results())])  # type: ignore[arg-type]
    rows = read(path)
    assert [(row["frame"], row["time"], row["id"], row["class"], row["score"]) for row in rows] == [
        ("0", "0.0000", "", "car", "0.9000"),
        ("0", "0.0000", "4", "person", "0.7500"),
        ("2", "0.2000", "7", "car", "0.9000"),
        ("2", "0.2000", "", "car", "0.6000"),
    ]
    assert [float(rows[2][side]) for side in ("left", "top", "right", "bottom")] == [36.5, 60, 48.5, 80]
    assert {row["camera"] for row in rows} == {""}


def test_rows_of_cameras_name_them_and_repeat_nothing(tmp_path: Path) -> None:
    path = tmp_path / "objects.csv"
    one = results()[0]
    put(CsvSink(path), [shot(0, one, camera="door"), shot(1, one, camera="door", fresh=False)])  # type: ignore[arg-type]
    rows = read(path)
    assert [(row["frame"], row["camera"]) for row in rows] == [("0", "door"), ("0", "door")]


def test_a_class_name_may_hold_anything(tmp_path: Path) -> None:
    labels = tuple(replace(label, name=name) for label, name in zip(CONTRACT.labels, ('a,"b"', "ü\n2"), strict=True))
    result = scripted([at(40, 80), at(80, 80, label=1)], contract=replace(CONTRACT, labels=labels))
    put(CsvSink(tmp_path / "o.csv"), [shot(0, result)])  # type: ignore[arg-type]
    rows = read(tmp_path / "o.csv")
    assert [row["class"] for row in rows] == ['a,"b"', "ü\n2"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and numpy 2
def test_a_recording_becomes_a_data_set_of_cocos(tmp_path: Path) -> None:
    path = tmp_path / "new" / "set.json"
    sink = CocoRecordingSink(path, CONTRACT)
    given = results()
    for index, result in enumerate(given):
        one = shot(index, result)
        sink.write(one, sink.encode(one))
        assert not path.exists()
    sink.close()
    data = json.loads(path.read_text(encoding="utf-8"))
    assert [image["id"] for image in data["images"]] == [1, 2, 3]
    assert data["images"][2] == {
        "id": 3,
        "file_name": "000002",
        "height": 120,
        "width": 160,
        "frame": 2,
        "time": 0.2,
    }
    assert [category["name"] for category in data["categories"]] == ["car", "person"]
    annotations = data["annotations"]
    assert [one["id"] for one in annotations] == [1, 2, 3]  # the object without a pixel is none
    assert [one["image_id"] for one in annotations] == [1, 1, 3]
    assert [one["category_id"] for one in annotations] == [1, 2, 1]
    assert [one.get("track_id") for one in annotations] == [None, 4, 7]
    assert annotations[1]["bbox"] == [94, 60, 12, 20]
    for one, (frame, place) in zip(annotations, [(0, 0), (0, 1), (2, 0)], strict=True):
        region = given[frame].regions[place]
        expected = np.zeros((120, 160), np.uint8)
        rows, columns = region.inside.shape
        expected[region.top : region.top + rows, region.left : region.left + columns] = region.inside
        np.testing.assert_array_equal(coco_mask.decode(one["segmentation"]), expected)
        assert one["area"] == coco_mask.area(one["segmentation"]) == region.area
    assert list(path.parent.iterdir()) == [path]


def test_a_recording_without_frames_is_an_empty_set(tmp_path: Path) -> None:
    CocoRecordingSink(tmp_path / "set.json", CONTRACT).close()
    data = json.loads((tmp_path / "set.json").read_text())
    assert (data["images"], data["annotations"]) == ([], [])


def test_a_data_set_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        CocoRecordingSink(tmp_path, CONTRACT)
    sink = CocoRecordingSink(tmp_path / "set.json", CONTRACT)

    class Full(io.StringIO):
        def write(self, text: str) -> int:  # noqa: ARG002
            raise OSError(28, "No space left on device")

    sink._file.close()
    monkeypatch.setattr(sink, "_file", Full())
    one = shot(0, results()[0])
    with pytest.raises(OutputError, match="No space left"):
        sink.write(one, sink.encode(one))
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_json_lines_tell_of_objects_and_counts(tmp_path: Path) -> None:
    follower = Follower("", Events(), Following(lines=(CountLine("door", (0, 0.5), (1, 0.5)),)))
    known = [follower(scripted([at(80, y, label=PERSON)]), index / 10) for index, y in enumerate((40, 50, 70))]
    path = tmp_path / "lines.jsonl"
    put(JsonLinesSink(str(path)), [shot(index, result) for index, result in enumerate(known)])  # type: ignore[arg-type]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["objects"] == [{"class": "person", "score": 0.9, "box": [74, 20, 86, 40]}]
    assert lines[2]["objects"] == [{"class": "person", "score": 0.9, "box": [74, 50, 86, 70], "id": 1}]
    assert lines[2]["area"] == {"car": 0.0, "person": 0.0125}
    assert lines[2]["counts"]["lines"] == {"door": {"in": {"person": 1}, "out": {}}}
    assert lines[1]["counts"]["lines"] == {"door": {"in": {}, "out": {}}}


def test_json_lines_hold_masks_where_they_are_wanted_and_no_counts_where_nobody_counts(tmp_path: Path) -> None:
    result = results()[0]
    path = tmp_path / "lines.jsonl"
    put(JsonLinesSink(str(path), masks=True), [shot(0, result)])  # type: ignore[arg-type]
    line = json.loads(path.read_text())
    assert "counts" not in line
    for one, region in zip(line["objects"], result.regions, strict=True):
        assert coco_mask.area(one["mask"]) == region.area
        assert one["mask"]["size"] == [120, 160]


def test_lines_of_classes_stay_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    put(JsonLinesSink(str(path), masks=True), [shot(0, semantic())])  # type: ignore[arg-type]
    assert set(json.loads(path.read_text())) == {"frame", "name", "time", "area"}


@pytest.mark.parametrize("kind", ["csv", "coco"])
def test_what_finds_no_objects_has_none_to_list(tmp_path: Path, kind: str) -> None:
    sink: Sink[object]
    sink = CsvSink(tmp_path / "o") if kind == "csv" else CocoRecordingSink(tmp_path / "o", CONTRACT)  # type: ignore[assignment]
    with pytest.raises(OutputError, match="task instance"):
        sink.encode(shot(0, semantic()))
    sink.close()
