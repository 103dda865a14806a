"""LabelMe, CVAT, YOLO, Supervisely. How shapes are drawn is tested with their readers; here, the objects they make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.data.instances.open import open_instances
from tests.edgeseg.data.instances.objects import drawn, refusal, samples
from tests.edgeseg.data.samples import rows, write, write_picture

HEIGHT, WIDTH = 4, 8
Json = dict[str, Any]

# --- LabelMe ---


def shape(label: str, left: float, right: float, group: int | None = None, **more: Any) -> Json:
    points = [[left, 0], [right, 0], [right, 2], [left, 2]]
    return {"label": label, "points": points, "group_id": group, "shape_type": "polygon"} | more


def put_labelme(root: Path, *shapes: Json) -> Path:
    write_picture(root / "a.jpg", HEIGHT, WIDTH)
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    write(root / "a.json", json.dumps({"shapes": shapes, "imagePath": "a.jpg"} | size))
    return root


def test_labelme_joins_the_shapes_of_a_group(tmp_path: Path) -> None:
    put_labelme(tmp_path, shape("cat", 0, 1, 0), shape("cat", 2, 3, 0), shape("cat", 3, 4), shape("dog", 5, 6, 0))
    data = open_instances(str(tmp_path), "all")
    assert [label.name for label in data.labels] == ["cat", "dog"]
    (first, joined), (second, alone), (third, dog) = drawn(data.read(0))
    assert (first, second, third) == (0, 0, 1)
    assert np.array_equal(joined[:2], rows("1.1.....", "1.1....."))
    assert np.array_equal(alone[:2], rows("...1....", "...1...."))
    assert np.array_equal(dog[:2], rows(".....1..", ".....1.."))


def test_labelme_areas_to_ignore_and_background(tmp_path: Path) -> None:
    put_labelme(tmp_path, shape("__ignore__", 0, 2), shape("_background_", 3, 4), shape("cat", 5, 6))
    data = open_instances(str(tmp_path), "all")
    assert [label.name for label in data.labels] == ["cat"]
    assert [(each.box[0], each.crowd) for each in data.read(0).instances] == [(0, True), (5, False)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (shape("cat", 0, 1, points=[[0, 0], [1, 1]]), "shape 0 ('cat'): a shape of at least 3 points is needed, got 2"),
        (shape("cat", 0, 1, points=[[0, 0], [1, float("nan")], [2, 2]]), "a point is two finite numbers"),
        (shape("cat", 0, 1, shape_type="line"), "shape 0 ('cat'): a line has no area; draw it as a polygon"),
    ],
)
def test_labelme_mistakes(bad: Json, reason: str, tmp_path: Path) -> None:
    said = refusal(put_labelme(tmp_path, bad), "all")
    assert f"{tmp_path}/a.json: " in said and reason in said


def test_labelme_pictures_that_are_missing_or_labels_that_are_not_in_the_list(tmp_path: Path) -> None:
    put_labelme(tmp_path, shape("owl", 0, 1))
    write(tmp_path / "labels.txt", "cat\n")
    assert "a.json: shape 0 ('owl'): the class 'owl' is not in the list: cat" in refusal(tmp_path, "all")
    (tmp_path / "a.jpg").unlink()
    assert "a.json: the file: the picture 'a.jpg' is not there" in refusal(tmp_path, "all")


# --- CVAT ---


def put_cvat(root: Path, shapes: str) -> Path:
    write_picture(root / "images/a.jpg", HEIGHT, WIDTH)
    labels = "<labels><label><name>cat</name></label><label><name>dog</name></label></labels>"
    image = f'<image id="0" name="a.jpg" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
    write(root / "annotations.xml", f"<annotations><meta><task>{labels}</task></meta>{image}</annotations>")
    return root


def polygon(label: str, left: int, right: int, more: str = "") -> str:
    return f'<polygon label="{label}" points="{left},0;{right},0;{right},2;{left},2" {more}/>'


def test_cvat_joins_the_shapes_of_a_group(tmp_path: Path) -> None:
    shapes = [polygon("dog", 0, 1, 'group_id="3" z_order="2"'), polygon("dog", 2, 3, 'group_id="3" z_order="0"')]
    shapes += [polygon("cat", 4, 5, 'group_id="0"'), polygon("cat", 6, 7, 'group_id="0"')]
    data = open_instances(str(put_cvat(tmp_path, "".join(shapes))), "all")
    assert [label.name for label in data.labels] == ["cat", "dog"]
    assert sorted((label, mask[0].tolist()) for label, mask in drawn(data.read(0))) == [
        (0, [0, 0, 0, 0, 0, 0, 1, 0]),
        (0, [0, 0, 0, 0, 1, 0, 0, 0]),
        (1, [1, 0, 1, 0, 0, 0, 0, 0]),
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('<polygon label="cat" points="0,0;1,1"/>', "shape 0 (polygon 'cat'): a shape of at least 3 points is needed"),
        ('<polygon label="cat" points="0,0;1,nan;2,2"/>', "'points' must be a number, got 'nan'"),
        ('<polygon label="owl" points="0,0;1,1;2,2"/>', "the class 'owl' is not in the list: cat, dog"),
        ('<mask label="cat" rle="3,1" left="0" top="0" width="3" height="2"/>', "the RLE covers 4 px, its size is 3×2"),
        ('<mask label="cat" rle="6" left="0" top="0" width="-3" height="2"/>', "1 to 32768 px wide and high, got -3×2"),
        ('<box label="cat" xtl="3" ytl="1" xbr="1" ybr="2"/>', "a box needs xtl ≤ xbr and ytl ≤ ybr, got 3, 1, 1, 2"),
        ('<ellipse label="cat" cx="3" cy="1" rx="-1" ry="2"/>', "radii must not be negative, got -1 and 2"),
    ],
)
def test_cvat_mistakes(bad: str, reason: str, tmp_path: Path) -> None:
    said = refusal(put_cvat(tmp_path, bad), "all")
    assert f"{tmp_path}/annotations.xml: a.jpg, shape 0" in said and reason in said


def test_cvat_pictures_that_are_missing(tmp_path: Path) -> None:
    put_cvat(tmp_path, polygon("cat", 0, 1))
    (tmp_path / "images/a.jpg").unlink()
    assert "annotations.xml: lists the picture a.jpg, which is not there" in refusal(tmp_path, "all")


# --- YOLO ---


def put_yolo(root: Path, text: str) -> Path:
    write_picture(root / "images/train/a.jpg", HEIGHT, WIDTH)
    write_picture(root / "images/train/empty.jpg", HEIGHT, WIDTH)
    write(root / "labels/train/a.txt", text)
    write(root / "data.yaml", "names: [cat, dog]\n")
    return root


def test_yolo_lines_are_objects_and_pictures_without_a_file_show_none(tmp_path: Path) -> None:
    text = "1 0 0 0.5 0 0.5 0.5 0 0.5\n0 0.25 0 0.75 0 0.75 0.5 0.25 0.5\n"
    found = samples(put_yolo(tmp_path, text), "train")
    (first, dog), (second, cat) = drawn(found["a"])
    assert (first, second) == (1, 0)
    assert np.array_equal(dog, rows("1111....", "1111....", "........", "........"))
    assert np.array_equal(cat, rows("..1111..", "..1111..", "........", "........"))
    assert found["empty"].instances == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.1 0.1 0.2 0.2", "is a box of a detection set (class x y width height), not a polygon"),
        ("0 0.1 0.1 0.2 0.2 0.3", "a polygon needs x and y of at least 3 points, got 5 numbers"),
        ("2 0.1 0.1 0.2 0.2 0.3 0.3", "the class is a number in 0..1, got '2'"),
        ("0 0.1 nan 0.2 0.2 0.3 0.3", "'coordinate' must be a number, got 'nan'"),
    ],
)
def test_yolo_mistakes(line: str, reason: str, tmp_path: Path) -> None:
    said = refusal(put_yolo(tmp_path, f"1 0 0 0.5 0 0.5 0.5\n{line}\n"), "train")
    assert f"{tmp_path}/labels/train/a.txt: line 2: " in said and reason in said


# --- Supervisely ---


def test_supervisely_figures_are_objects(tmp_path: Path) -> None:
    write_picture(tmp_path / "ds/img/a.jpg", HEIGHT, WIDTH)
    write(tmp_path / "meta.json", json.dumps({"classes": [{"title": "cat"}, {"title": "dog"}]}))
    figures = [
        {"classTitle": title, "geometryType": "rectangle", "points": {"exterior": [[left, 0], [left + 1, 1]]}}
        for title, left in (("dog", 0), ("dog", 4), ("cat", 1))
    ]
    content = {"size": {"height": HEIGHT, "width": WIDTH}, "objects": figures}
    write(tmp_path / "ds/ann/a.jpg.json", json.dumps(content))
    sample = samples(tmp_path, "ds")["a"]
    assert [(each.label, each.box) for each in sample.instances] == [
        (1, (0, 0, 2, 2)),
        (1, (4, 0, 6, 2)),
        (0, (1, 0, 3, 2)),
    ]
