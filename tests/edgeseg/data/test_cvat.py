from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.data.open import open_data, recognise, splits
from tests.edgeseg.data.samples import masks, refusal, rows, write, write_mask, write_picture

HEIGHT, WIDTH = 5, 8
LABELS = (
    "<label><name>cat</name><color>#0a14FF</color><attributes><attribute><name>age</name></attribute></attributes></label>"
    "<label><name>dog</name><color>#ff0000</color></label><label><name>paw</name><parent>dog</parent></label>"
)
BOX = '<box label="cat" xtl="1.00" ytl="1.00" xbr="4.00" ybr="3.00" z_order="0" occluded="0"></box>'
TRUTH = rows("........", ".111....", ".111....", "........", "........")


def put(root: Path, shapes: str = BOX, name: str = "a.jpg", picture: str = "images/a.jpg", more: str = "") -> Path:
    write_picture(root / picture, HEIGHT, WIDTH)
    return put_text(root, f'<image id="0" name="{name}" width="{WIDTH}" height="{HEIGHT}"{more}>{shapes}</image>')


def put_text(root: Path, images: str, labels: str = LABELS) -> Path:
    meta = f"<meta><task><id>1</id><labels>{labels}</labels></task><dumped>now</dumped></meta>"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{images}</annotations>'
    write(root / "annotations.xml", text)
    return root


def test_labels_and_their_colours(tmp_path: Path) -> None:
    data = open_data(str(put(tmp_path)), "all")
    assert [(label.name, label.color) for label in data.labels] == [
        ("background", (0, 0, 0)),
        ("cat", (10, 20, 255)),
        ("dog", (255, 0, 0)),
    ]
    assert np.array_equal(data.read(0).mask, TRUTH)


def test_every_kind_of_area(tmp_path: Path) -> None:
    shapes = (
        '<polygon label="dog" points="0.00,0.00;2.00,0.00;2.00,1.00;0.00,1.00" z_order="0"/>'
        '<mask label="cat" rle="0, 1, 1, 2, 1, 1" left="5" top="3" width="3" height="2" z_order="0"/>'
        '<tag label="cat"></tag>'
    )
    mask = masks(put(tmp_path, shapes), "all")["a"]
    assert np.array_equal(mask, rows("22......", "........", "........", ".....1.1", ".....1.1"))


def test_masks_go_along_rows(tmp_path: Path) -> None:
    shapes = '<mask label="cat" rle="1, 2, 3" left="0" top="0" width="3" height="2"/>'
    assert np.array_equal(masks(put(tmp_path, shapes), "all")["a"][:2, :3], rows(".11", "..."))


@pytest.mark.parametrize("turn", [0.0, 25.0, 90.0])
def test_turned_boxes_and_ellipses(turn: float, tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", 80, 100)
    ellipse = f'<ellipse label="cat" cx="50.5" cy="40.5" rx="30" ry="12" rotation="{turn}" z_order="1"/>'
    box = f'<box label="dog" xtl="10.5" ytl="30.5" xbr="90.5" ybr="50.5" rotation="{turn}" z_order="0"/>'
    put_text(tmp_path, f'<image id="0" name="a.png" width="100" height="80">{ellipse}{box}</image>')
    expected = np.zeros((80, 100), np.uint8)
    corners = cv2.boxPoints(((50.0, 40.0), (80.0, 20.0), turn))
    cv2.fillPoly(expected, [np.rint(corners).astype(np.int32)], 2)
    cv2.ellipse(expected, (50, 40), (30, 12), turn, 0, 360, 1, cv2.FILLED)
    mask = masks(tmp_path, "all")["a"]
    for value in (1, 2):  # OpenCV draws the rim's pixels too
        rim = cv2.morphologyEx((expected == value).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8))
        assert ((mask == value) == (expected == value))[rim == 0].all()


def test_z_order_counts_then_the_order_of_the_file(tmp_path: Path) -> None:
    shapes = BOX.replace('z_order="0"', 'z_order="1"') + BOX.replace("cat", "dog").replace('ytl="1.00"', 'ytl="0.00"')
    assert np.array_equal(
        masks(put(tmp_path, shapes), "all")["a"], rows(".222....", ".111....", ".111....", *["........"] * 2)
    )
    put(tmp_path, BOX + BOX.replace("cat", "dog"))
    assert np.array_equal(masks(tmp_path, "all")["a"], 2 * TRUTH)


@pytest.mark.parametrize(
    ("name", "picture", "more", "split"),
    [
        ("a.jpg", "a.jpg", "", "all"),
        ("deep/er/a.jpg", "images/deep/er/a.jpg", "", "all"),
        ("a.jpg", "images/train/a.jpg", ' subset="Train"', "train"),
        ("a.jpg", "images/a.jpg", ' subset="Validation"', "val"),
        ("a.jpg", "images/Validation/a.jpg", ' subset="Validation"', "val"),
        ("a.jpg", "images/mine/a.jpg", ' subset="mine"', "mine"),
        ("a.jpg", "images/a.jpg", ' subset="default"', "all"),
    ],
)
def test_layouts(name: str, picture: str, more: str, split: str, tmp_path: Path) -> None:
    put(tmp_path, BOX, name, picture, more)
    if split in ("train", "mine"):
        assert splits(str(tmp_path)) == (split,)
    assert np.array_equal(masks(tmp_path, split)["a"], TRUTH)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (
            '<polygon label="cat" points="1,1;2,2"/>',
            "shape 0 (polygon 'cat'): a shape of at least 3 points is needed, got 2",
        ),
        ('<polygon label="cat" points="1,1;2,2;3"/>', "a point is two finite numbers"),
        ('<polygon label="cat" points="1,1;2,2;3,x"/>', "'points' must be a number, got 'x'"),
        ('<polygon label="cat"/>', "at least 3 points is needed, got 0"),
        (BOX.replace("cat", "owl"), "the class 'owl' is not in the list: cat, dog"),
        (BOX.replace('xtl="1.00"', ""), "'xtl' must be a number, got None"),
        ('<polyline label="cat" points="1,1;2,2;3,3"/>', "has no area; draw it as a polygon"),
        ('<points label="cat" points="1,1"/>', "has no area"),
        (
            '<skeleton label="dog"><points label="paw" points="1,1"/></skeleton>',
            "shape 0 (skeleton 'dog'): has no area",
        ),
        ('<mask label="cat" rle="1, 2" left="0" top="0" width="3" height="2"/>', "covers 3 px, its size is 3×2 = 6 px"),
        ('<mask label="cat" rle="" left="0" top="0" width="3" height="2"/>', "'rle' must be a number"),
        ('<mask label="cat" rle="9" left="0" top="0" width="99999" height="99999"/>', "1 to 32768 px wide and high"),
    ],
)
def test_a_bad_shape_is_named_with_its_reason(bad: str, reason: str, tmp_path: Path) -> None:
    write_picture(tmp_path / "images/b.jpg", HEIGHT, WIDTH)
    put(tmp_path, bad)
    text = (tmp_path / "annotations.xml").read_text()
    good = f'<image id="1" name="b.jpg" width="{WIDTH}" height="{HEIGHT}">{BOX}</image></annotations>'
    write(tmp_path / "annotations.xml", text.replace("</annotations>", good))
    first, line = refusal(tmp_path, "all").splitlines()
    assert "1 bad file " in first
    assert line.startswith(f"  {tmp_path}/annotations.xml: a.jpg, shape 0 (") and reason in line
    assert open_data(str(tmp_path), "all", skip_bad=True).name(0) == "b"


def test_pictures_that_are_missing_or_of_another_size(tmp_path: Path) -> None:
    put_text(
        tmp_path,
        f'<image id="0" name="a.jpg" width="{HEIGHT}" height="{HEIGHT}"></image>'
        f'<image id="1" name="gone.jpg" width="{WIDTH}" height="{HEIGHT}"></image>',
    )
    write_picture(tmp_path / "a.jpg", HEIGHT, WIDTH)
    said = refusal(tmp_path, "all")
    assert "2 bad files" in said
    assert "annotations.xml: picture a.jpg is 5×5 px, its picture 8×5" in said
    assert "annotations.xml: lists the picture gone.jpg, which is not there" in said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotations><image", "annotations.xml: is not XML"),
        ("<annotations></annotations>", "annotations.xml: lists no picture"),
        (
            '<annotations><track id="0" label="cat"></track></annotations>',
            "is CVAT for video; export it as CVAT for images",
        ),
        ('<annotations><image name="a.jpg"/></annotations>', "picture 'a.jpg': 'height' must be a number, got None"),
        ('<annotations><image width="1" height="1"/></annotations>', "picture '': has no name"),
        (
            "<annotations>" + '<image name="a" width="1" height="1"/>' * 2 + "</annotations>",
            "picture 'a': is listed twice",
        ),
        ('<annotations><image name="a" width="1" height="1"/></annotations>', "annotations.xml: no class is named"),
    ],
)
def test_a_broken_file_is_one_line(text: str, reason: str, tmp_path: Path) -> None:
    write(tmp_path / "annotations.xml", text)
    said = refusal(tmp_path, "all")
    assert reason in said
    assert "\n" not in said


def test_the_export_as_masks_is_a_folder_with_a_table(tmp_path: Path) -> None:
    write(
        tmp_path / "labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:10,20,255::\ndog:255,0,0::\n",
    )
    write(tmp_path / "ImageSets/Segmentation/default.txt", "a\n")
    write_picture(tmp_path / "JPEGImages/a.jpg", HEIGHT, WIDTH)
    colours = np.array([(0, 0, 0), (255, 20, 10), (0, 0, 255)], np.uint8)  # BGR
    write_mask(tmp_path / "SegmentationClass/a.png", colours[TRUTH])
    assert recognise(str(tmp_path)).title == "folder images + masks"
    assert np.array_equal(masks(tmp_path, "all")["a"], TRUTH)
