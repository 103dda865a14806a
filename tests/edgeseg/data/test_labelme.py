from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.data.open import open_data, recognise, splits
from tests.edgeseg.data.samples import masks, refusal, rows, write, write_picture

HEIGHT, WIDTH = 5, 8
Json = dict[str, Any]


def shape(label: str, points: Any, kind: str | None = "polygon", **more: Any) -> Json:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}} | more


def content(*shapes: Any, picture: str = "a.jpg") -> Json:
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    return {"version": "5.5.0", "shapes": list(shapes), "imagePath": picture, "imageData": None} | size


def put(root: Path, *shapes: Any, name: str = "a") -> Path:
    write_picture(root / f"{name}.jpg", HEIGHT, WIDTH)
    write(root / f"{name}.json", json.dumps(content(*shapes, picture=f"{name}.jpg")))
    return root


def png(bits: Any) -> str:
    return base64.b64encode(cv2.imencode(".png", np.asarray(bits, np.uint8) * 255)[1].tobytes()).decode()


SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3]]


def test_shapes_lie_over_each_other_in_their_order(tmp_path: Path) -> None:
    put(
        tmp_path,
        shape("dog", SQUARE),
        shape("cat", [[3, 0], [8, 0], [8, 5], [3, 5]]),
        shape("dog", [[7, 4], [8, 5]], "rectangle"),
    )
    data = open_data(str(tmp_path), "all")
    assert [label.name for label in data.labels] == ["background", "cat", "dog"]
    assert np.array_equal(data.read(0).mask, rows("...11111", ".2211111", ".2211111", "...11111", "...11112"))


def test_every_kind_of_area(tmp_path: Path) -> None:
    put(
        tmp_path,
        shape("a", [[0, 0], [2, 0], [2, 1], [0, 1]], None),
        shape("b", [[5, 2], [3, 0]], "rectangle"),  # corners in any order
        shape("c", [[6.5, 3.5], [6.5, 2.3]], "circle"),  # centre and a point of the rim
        shape("d", [[0, 3], [2, 4]], "mask", mask=png([[1, 0, 1], [0, 1, 0]])),
        shape("e", [[3, 3], [5, 3], [5, 4], [3, 4]], "oriented_rectangle"),
        shape("f", [[7, 0], [8, 0], [8, 1], [7, 1]], "rotation"),
    )
    expected = rows("11.22..6", "...22...", "......3.", "4.455333", ".4....3.")
    assert np.array_equal(masks(tmp_path, "all")["a"], expected)


def test_a_circle_is_round(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg", 60, 80)
    drawn = content(shape("c", [[40.25, 30.25], [40.25, 10]], "circle")) | {"imageHeight": 60, "imageWidth": 80}
    write(tmp_path / "a.json", json.dumps(drawn))
    y, x = np.mgrid[:60, :80] + 0.5
    inside = (x - 40.25) ** 2 + (y - 30.25) ** 2 < 20.25**2
    assert ((masks(tmp_path, "all")["a"] == 1) != inside).sum() <= 2


def test_special_labels(tmp_path: Path) -> None:
    put(
        tmp_path,
        shape("cat", SQUARE),
        shape("_background_", [[1, 1], [2, 2]], "rectangle"),
        shape("__ignore__", [[3, 2], [4, 3]], "rectangle"),
    )
    data = open_data(str(tmp_path), "all")
    assert [label.name for label in data.labels] == ["_background_", "cat"]
    assert np.array_equal(data.read(0).mask, rows("........", "..11....", ".11x....", "........", "........"))


@pytest.mark.parametrize("table", ["labels.txt", "classes.txt"])
def test_a_list_of_classes_gives_the_order(table: str, tmp_path: Path) -> None:
    put(tmp_path, shape("cat", SQUARE))
    write(tmp_path / table, "__ignore__\n_background_\ndog\ncat\n")
    data = open_data(str(tmp_path), "all")
    assert [label.name for label in data.labels] == ["_background_", "dog", "cat"]
    assert data.read(0).mask.max() == 2


def test_classes_are_those_of_all_splits(tmp_path: Path) -> None:
    put(tmp_path / "train", shape("dog", SQUARE))
    put(tmp_path / "val", shape("cat", SQUARE))
    assert splits(str(tmp_path)) == ("train", "val")
    assert masks(tmp_path, "train")["a"].max() == 2
    assert masks(tmp_path, "val")["a"].max() == 1


@pytest.mark.parametrize("entry", ["../pictures/a.jpg", "..\\pictures\\a.jpg", "C:\\Users\\me\\a.jpg"])
def test_pictures_elsewhere(entry: str, tmp_path: Path) -> None:
    write_picture(tmp_path / ("annotations" if "me" in entry else "pictures") / "a.jpg", HEIGHT, WIDTH)
    write(tmp_path / "annotations/a.json", json.dumps(content(shape("cat", SQUARE), picture=entry)))
    assert (masks(tmp_path, "all")["a"] == 1).sum() == 6


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (shape("cat", [[0, 0], [1, 1]]), "shape 0 ('cat'): a shape of at least 3 points is needed, got 2"),
        (shape("cat", [[0, 0]], "point"), "shape 0 ('cat'): a point has no area; draw it as a polygon"),
        (shape("cat", SQUARE, "linestrip"), "a linestrip has no area"),
        (shape("cat", [[0, 0], [1, 1]], "line"), "a line has no area"),
        (shape("cat", [[0, 0]], "circle"), "at least 2 points is needed, got 1"),
        (shape("cat", SQUARE, "circle"), "a circle has 2 points, got 4"),
        (shape("cat", [[0, 0], [2, 2]], "mask", mask=png([[1]])), "its mask is 1×1 px, its box 3×3"),
        (shape("cat", [[0, 0], [2, 2]], "mask"), "has no 'mask'"),
        (shape("cat", [[0, 0], [2, 2]], "mask", mask="?"), "the mask is not base64"),
        (shape("cat", "here"), "'points' must be a list"),
        ({"points": SQUARE}, "shape 0 (None): has no 'label'"),
        (7, "shape 0 (7): is not an object but 7"),
    ],
)
def test_a_bad_shape_is_named_with_its_reason(bad: Any, reason: str, tmp_path: Path) -> None:
    put(tmp_path, shape("cat", SQUARE), name="good")
    put(tmp_path, bad)
    first, line = refusal(tmp_path, "all").splitlines()
    assert "1 bad file " in first
    assert line.startswith(f"  {tmp_path}/a.json: ") and reason in line
    assert open_data(str(tmp_path), "all", skip_bad=True).name(0) == "good"


def test_a_label_that_is_not_in_the_list(tmp_path: Path) -> None:
    put(tmp_path, shape("owl", SQUARE))
    write(tmp_path / "labels.txt", "dog\ncat\n")
    assert "a.json: shape 0 ('owl'): the class 'owl' is not in the list: dog, cat" in refusal(tmp_path, "all")


def test_other_bad_files(tmp_path: Path) -> None:
    put(tmp_path, shape("cat", SQUARE))
    put(tmp_path, name="b")
    put(tmp_path, name="c")
    write(
        tmp_path / "b.json", json.dumps(content() | {"imagePath": "b.jpg", "imageWidth": HEIGHT, "imageHeight": WIDTH})
    )
    write(tmp_path / "c.json", "{")
    write(tmp_path / "d.json", json.dumps(content(picture="d.jpg")))
    write_picture(tmp_path / "e.jpg", HEIGHT, WIDTH)
    write(tmp_path / "f.json", "{}")
    said = refusal(tmp_path, "all")
    assert "5 bad files" in said
    assert (
        "b.json: the annotation is 5×8 px, its picture 8×5 (once turned upright as its EXIF orientation says)" in said
    )
    assert "c.json: is not JSON" in said
    assert "d.json: the file: the picture 'd.jpg' is not there" in said
    assert "e.jpg: has no JSON file beside it" in said
    assert "f.json: the file: has no 'imagePath'" in said


def test_a_foreign_file_that_comes_first_does_not_hide_the_others(tmp_path: Path) -> None:
    put(tmp_path, shape("cat", SQUARE), name="b")
    write(tmp_path / "a.json", "")
    first, line = refusal(tmp_path, "all").splitlines()
    assert "1 bad file " in first and "a.json: is not JSON" in line
    write_picture(tmp_path / "a.jpg", HEIGHT, WIDTH)
    write(tmp_path / "a.json", json.dumps(content(picture="a.jpg") | {"imageHeight": str(HEIGHT)}))
    assert f"a.json: the file: 'imageHeight' must be a whole number, got '{HEIGHT}'" in refusal(tmp_path, "all")


def test_pictures_that_were_renamed_with_their_files_are_not_taken_for_others(tmp_path: Path) -> None:
    put(put(tmp_path, shape("cat", SQUARE), name="a"), shape("dog", SQUARE), name="b")
    write(tmp_path / "b.json", json.dumps(content(shape("dog", SQUARE), picture="a.jpg")))
    assert "b.json: the file: says that its picture is 'a.jpg', but b.jpg lies beside it" in refusal(tmp_path, "all")
    (tmp_path / "b.jpg").unlink()
    said = refusal(tmp_path, "all")
    assert "1 bad file " in said and "b.json: is of the picture a.jpg, as a.json is: keep one" in said
    data = open_data(str(tmp_path), "all", skip_bad=True)
    assert [label.name for label in data.labels] == ["background", "cat"] and len(data) == 1


def test_files_in_a_folder_in_the_folder_are_told_of(tmp_path: Path) -> None:
    put(put(tmp_path, shape("cat", SQUARE)) / "day2", shape("cat", SQUARE))
    (tmp_path / "notes").mkdir()
    said = refusal(tmp_path, "all")
    assert "1 bad file " in said and "day2: its pictures are not read, for it is a folder in a folder" in said


def test_droppings_of_other_systems_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, shape("cat", SQUARE))
    (tmp_path / "._a.json").write_bytes(b"\0\5\x16\7")
    assert len(open_data(str(tmp_path), "all")) == 1


def test_other_json_is_no_labelme(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "[1]")
    assert "fits no known layout" in refusal(tmp_path, "all")
    write(tmp_path / "a.json", "[")
    assert "fits no known layout" in refusal(tmp_path, "all")
    put(tmp_path, shape("cat", SQUARE))
    assert recognise(str(tmp_path)).title == "LabelMe"
