from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeseg.data.open import open_data, splits
from tests.edgeseg.data.samples import masks, refusal, rows, write, write_picture

HEIGHT, WIDTH = 6, 8
CLASSES = [
    {"title": "cat", "shape": "any", "color": "#0A14FF", "geometry_config": {}},
    {"title": "dog", "shape": "bitmap", "color": "odd"},
]
OUTLINE = [[1, 1], [6, 1], [6, 5], [1, 5]]
Json = dict[str, Any]


def figure(kind: str | None, title: str = "cat", **more: Any) -> Json:
    return {"id": 9, "classTitle": title, "tags": []} | ({"geometryType": kind} if kind else {}) | more


def polygon(exterior: Any, *interior: Any, title: str = "cat", kind: str = "polygon") -> Json:
    return figure(kind, title, points={"exterior": exterior, "interior": list(interior)})


def bitmap(bits: npt.ArrayLike, left: int, top: int, title: str = "dog") -> Json:
    data = cv2.imencode(".png", np.asarray(bits, np.uint8) * 255)[1].tobytes()
    text = base64.b64encode(zlib.compress(data)).decode()
    return figure("bitmap", title, bitmap={"data": text, "origin": [left, top]})


def put(root: Path, *figures: Any, home: str = "ds0", name: str = "a.jpg") -> Path:
    write(root / "meta.json", json.dumps({"classes": CLASSES, "tags": []}))
    write_picture(root / home / "img" / name, HEIGHT, WIDTH)
    found = {"description": "", "size": {"height": HEIGHT, "width": WIDTH}, "tags": [], "objects": list(figures)}
    write(root / home / "ann" / f"{name}.json", json.dumps(found))
    return root


def test_outlines_belong_to_their_figures_and_holes_to_none(tmp_path: Path) -> None:
    put(tmp_path, polygon(OUTLINE, [[3, 2], [4, 2], [4, 3], [3, 3]]))
    data = open_data(str(tmp_path), "ds0")
    assert [label.name for label in data.labels] == ["background", "cat", "dog"]
    assert data.labels[1].color == (10, 20, 255)
    expected = rows("........", ".111111.", ".11..11.", ".11..11.", ".111111.", ".111111.")
    assert np.array_equal(data.read(0).mask, expected)


def test_rectangles_and_bitmaps_in_their_order(tmp_path: Path) -> None:
    put(tmp_path, polygon([[5, 3], [1, 1]], kind="rectangle"), bitmap([[1, 0, 1], [0, 1, 1]], 4, 3))
    expected = rows("........", ".11111..", ".11111..", ".111212.", ".....22.", "........")
    assert np.array_equal(masks(tmp_path, "ds0")["a"], expected)


def test_sets_within_sets_are_found(tmp_path: Path) -> None:
    put(tmp_path, polygon(OUTLINE))
    put(tmp_path, polygon(OUTLINE, title="dog"), home="ds0/datasets/ds1")
    write(tmp_path / "ds0/ann/._a.jpg.json", "")  # another system's dropping
    assert splits(str(tmp_path)) == ("ds0", "ds0/ds1")
    assert int(masks(tmp_path, "ds0/ds1")["a"].max()) == 2


def test_old_files_name_no_kind(tmp_path: Path) -> None:
    put(tmp_path, polygon(OUTLINE) | {"geometryType": None}, bitmap([[1]], 0, 0) | {"geometryType": None})
    mask = masks(tmp_path, "ds0")["a"]
    assert (mask == 1).sum() == 30 and mask[0, 0] == 2


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))), st.integers(-5, 9), st.integers(-5, 9))
def test_bitmaps_survive(
    tmp_path_factory: pytest.TempPathFactory, bits: npt.NDArray[np.bool_], left: int, top: int
) -> None:
    root = put(tmp_path_factory.mktemp("s"), bitmap(bits, left, top))
    whole = np.zeros((30, 30), np.uint8)
    whole[10 + top : 10 + top + bits.shape[0], 10 + left : 10 + left + bits.shape[1]] = 2 * bits
    assert np.array_equal(masks(root, "ds0")["a"], whole[10 : 10 + HEIGHT, 10 : 10 + WIDTH])


def test_each_set_is_a_split_and_old_names_are_found(tmp_path: Path) -> None:
    put(tmp_path, polygon(OUTLINE), home="train")
    put(tmp_path, home="ds 2", name="b.png")
    (tmp_path / "ds 2/ann/b.png.json").rename(tmp_path / "ds 2/ann/b.json")
    assert splits(str(tmp_path)) == ("ds 2", "train")
    assert not masks(tmp_path, "ds 2")["b"].any()


@pytest.mark.parametrize(("other", "found"), [("valid", ("train", "val")), ("datasets/train", ("Train", "train"))])
def test_sets_that_are_called_as_a_split_is(other: str, found: tuple[str, ...], tmp_path: Path) -> None:
    put(tmp_path, polygon(OUTLINE), home="Train")
    put(tmp_path, home=other, name="b.png")
    assert sorted(splits(str(tmp_path))) == sorted(found)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (polygon([[1, 1], [2, 2]]), "object 0: a shape of at least 3 points is needed, got 2"),
        (polygon(OUTLINE, [[1, 1]]), "a shape of at least 3 points is needed, got 1"),
        (polygon(OUTLINE) | {"points": {"exterior": OUTLINE, "interior": 3}}, "'interior' must be a list of holes"),
        (polygon(OUTLINE, title="owl"), "the class 'owl' is not in the list: cat, dog"),
        (figure("line", points={"exterior": OUTLINE}), "a line has no area that could be drawn"),
        (figure("bitmap", bitmap={"data": "eHh4", "origin": [0, 0]}), "the mask is not packed by zlib"),
        (figure("bitmap", bitmap={"data": "", "origin": [0]}), "a point is two finite numbers"),
        (figure("bitmap", bitmap={"origin": [0, 0]}), "has no 'data'"),
        (figure("polygon"), "has no 'points'"),
        ("text", "is not an object but 'text'"),
    ],
)
def test_a_bad_figure_is_named_with_its_reason(bad: Any, reason: str, tmp_path: Path) -> None:
    put(tmp_path, polygon(OUTLINE), name="good.jpg")
    put(tmp_path, bad)
    first, line = refusal(tmp_path, "ds0").splitlines()
    assert "1 bad file " in first
    assert line.startswith(f"  {tmp_path}/ds0/ann/a.jpg.json: object 0: ") and reason in line
    assert open_data(str(tmp_path), "ds0", skip_bad=True).name(0) == "good"


def test_other_bad_files(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        put(tmp_path, polygon(OUTLINE), name=f"{name}.jpg")
    ann = tmp_path / "ds0/ann"
    write(ann / "a.jpg.json", "nope")
    write(ann / "b.jpg.json", json.dumps({"size": {"height": WIDTH, "width": WIDTH}, "objects": []}))
    (ann / "c.jpg.json").unlink()
    (tmp_path / "ds0/img/d.jpg").unlink()
    said = refusal(tmp_path, "ds0")
    assert "4 bad files" in said
    assert "a.jpg.json: is not JSON" in said
    assert "b.jpg.json: the annotation is 8×8 px, its picture 8×6" in said
    assert "c.jpg: has no annotation in" in said
    assert "d.jpg.json: has no picture in" in said
    write(ann / "b.jpg.json", json.dumps({"objects": []}))
    assert "b.jpg.json: the file: has no 'size'" in refusal(tmp_path, "ds0")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "meta.json: is not JSON"),
        ("{}", "meta.json: the file: has no 'classes'"),
        ('{"classes": []}', "meta.json: no class is named"),
        ('{"classes": [{"title": "a"}, {}]}', "meta.json: class 1: has no 'title'"),
        ('{"classes": [{"title": "a"}, {"title": "a"}]}', "meta.json: the class 'a' is named 2 times"),
    ],
)
def test_a_broken_table_is_one_line(text: str, reason: str, tmp_path: Path) -> None:
    put(tmp_path)
    write(tmp_path / "meta.json", text)
    said = refusal(tmp_path, "ds0")
    assert reason in said
    assert "\n" not in said
