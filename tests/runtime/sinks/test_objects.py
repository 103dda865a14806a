"""The outputs of instance models, each read by what it is meant for; `edgeseg predict` tests read whole sets back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.instances.decode import InstanceDecoder
from edgeseg_runtime.result import UNTIMED, SemanticResult
from edgeseg_runtime.sinks import Shot, Sink
from edgeseg_runtime.sinks.objects import CocoSink, LabelmeSink, MapsSink, YoloSink
from edgeseg_runtime.sinks.objects.coco import image_ids
from edgeseg_runtime.sources.base import Frame
from tests.instance_model import instance_contract

CONTRACT = instance_contract("detections")


def shot(name: str, objects: list[tuple[list[float], int, float]], contract: Contract = CONTRACT) -> Shot:
    """A shot of 48×64 with objects that fill their boxes: box, class, score."""
    count = len(objects)
    outputs = (
        np.array([box for box, _, _ in objects], np.float32).reshape(count, 4),
        np.array([label for _, label, _ in objects], np.int64),
        np.array([score for _, _, score in objects], np.float32),
        np.ones((count, 4, 4), np.float32),
    )
    result = InstanceDecoder(contract)(outputs, 48, 64)
    frame = Frame(0, np.zeros((48, 64, 3), np.uint8), 0.0, None, name)
    return Shot(frame, result, color_table(contract), 0.5)


TWO = [([10.0, 4.0, 20.0, 12.0], 2, 0.9), ([16.0, 4.0, 26.0, 8.0], 0, 0.6)]
NOT_SEEN = ([30.2, 5.0, 30.4, 9.0], 1, 0.8)
"""A box between two pixels' centres: an object without a pixel."""


def put(sink: Sink[Any], *shots: Shot) -> None:
    for one in shots:
        sink.write(one, sink.encode(one))
    sink.close()


def paths(*names: str) -> dict[str, Path]:
    return {Path(name).stem: Path("pictures") / name for name in names}


def test_coco_by_hand(tmp_path: Path) -> None:
    put(CocoSink(tmp_path, CONTRACT, paths("b.jpg", "a.png")), shot("b", [*TWO, NOT_SEEN]), shot("a", []))
    results = json.loads((tmp_path / "predictions.json").read_text())
    assert [sorted(one) for one in results] == [["bbox", "category_id", "image_id", "score", "segmentation"]] * 2
    assert [(one["image_id"], one["category_id"], one["bbox"], one["score"]) for one in results] == [
        (1, 3, [10, 4, 10, 8], 0.9),
        (1, 1, [16, 4, 10, 4], 0.6),
    ]
    whole = json.loads((tmp_path / "annotations.json").read_text())
    assert whole["images"] == [
        {"id": 1, "file_name": "b.jpg", "height": 48, "width": 64},
        {"id": 2, "file_name": "a.png", "height": 48, "width": 64},
    ]
    assert [(one["id"], one["image_id"], one["iscrowd"], one["area"]) for one in whole["annotations"]] == [
        (1, 1, 0, 80),
        (2, 1, 0, 40),
    ]
    assert whole["categories"][2] == {"id": 3, "name": "blue", "color": [0, 0, 255]}


def test_pictures_named_by_numbers_keep_them_as_ids() -> None:
    assert image_ids(["000000000139", "285"]) == {"000000000139": 139, "285": 285}
    assert image_ids(["1", "01"]) == {"1": 1, "01": 2}  # one number twice
    assert image_ids(["7", "x"]) == {"7": 1, "x": 2}
    assert image_ids(["²"]) == {"²": 1}


def test_labelme_by_hand(tmp_path: Path) -> None:
    put(LabelmeSink(tmp_path / "out", CONTRACT, {"a": tmp_path / "in" / "a.jpg"}), shot("a", [*TWO, NOT_SEEN]))
    content = json.loads((tmp_path / "out" / "a.json").read_text())
    assert (content["imagePath"], content["imageHeight"], content["imageWidth"]) == ("../in/a.jpg", 48, 64)
    assert [(one["label"], one["group_id"], one["description"]) for one in content["shapes"]] == [
        ("red", 3, "0.6000"),
        ("blue", 1, "0.9000"),
    ]
    assert content["shapes"][1]["points"] == [[10, 4], [20, 4], [20, 12], [10, 12]]
    assert (tmp_path / "out" / "labels.txt").read_text() == "red\ngreen\nblue\n"


def test_yolo_by_hand(tmp_path: Path) -> None:
    put(YoloSink(tmp_path, CONTRACT), shot("a", [*TWO, NOT_SEEN]), shot("b", []))
    lines = (tmp_path / "labels" / "a.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["2", "0"]
    shares = np.array(lines[0].split()[1:], float).reshape(-1, 2)
    np.testing.assert_allclose(shares * (64, 48), [[10, 4], [20, 4], [20, 12], [10, 12]], atol=1e-3)
    assert (tmp_path / "labels" / "b.txt").read_text() == ""
    assert (tmp_path / "classes.txt").read_text() == "red\ngreen\nblue\n"


def test_maps_say_class_and_object_and_agree_on_what_is_on_top(tmp_path: Path) -> None:
    put(MapsSink(tmp_path, CONTRACT), shot("a", TWO))
    classes = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    objects = cv2.imread(str(tmp_path / "objects" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert classes is not None and classes.dtype == np.uint8
    assert objects is not None and objects.dtype == np.uint16
    wanted = np.zeros((48, 64), np.uint16)
    wanted[4:8, 16:26] = 2
    wanted[4:12, 10:20] = 1  # the surer one
    np.testing.assert_array_equal(objects, wanted)
    np.testing.assert_array_equal(classes, np.array([255, 2, 0])[wanted])
    assert (tmp_path / "classes.csv").read_text().splitlines()[3] == "2,blue,0,0,255"


@pytest.mark.parametrize("name", ["two\nlines", " spaces ", "a\x0bb"])
def test_a_class_name_that_is_no_line_is_refused(tmp_path: Path, name: str) -> None:
    labels = (Label(name, (0, 0, 0)), *CONTRACT.labels[1:])
    contract = replace(CONTRACT, labels=labels)
    with pytest.raises(OutputError, match=r"cannot be a line of classes\.txt; write --format coco"):
        YoloSink(tmp_path, contract)
    with pytest.raises(OutputError, match=r"cannot be a line of labels\.txt"):
        LabelmeSink(tmp_path, contract, {})
    CocoSink(tmp_path, contract, {}).close()
    assert json.loads((tmp_path / "annotations.json").read_text())["categories"][0]["name"] == name


def test_a_semantic_model_has_no_objects(tmp_path: Path, colour_contract: Contract) -> None:
    result = SemanticResult(np.zeros((48, 64), np.uint8), colour_contract, UNTIMED)
    one = Shot(shot("a", []).frame, result, color_table(colour_contract), 0.5)
    with pytest.raises(OutputError, match="task instance, this one's is semantic"):
        YoloSink(tmp_path, colour_contract).encode(one)


def test_a_place_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for make in (CocoSink, LabelmeSink):
        with pytest.raises(OutputError, match=str(tmp_path / "file")):
            make(tmp_path / "file", CONTRACT, {})
    for kind in (YoloSink, MapsSink):
        with pytest.raises(OutputError, match=str(tmp_path / "file")):
            kind(tmp_path / "file", CONTRACT)
    sink = CocoSink(tmp_path, CONTRACT, {})
    (tmp_path / "predictions.json").mkdir()
    with pytest.raises(OutputError, match=r"predictions\.json"):
        sink.close()
    assert not (tmp_path / "annotations.json").exists()
