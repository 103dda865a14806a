"""Whatever an annotation file holds, it is read or refused with a reason: nothing else comes out of it."""

from __future__ import annotations

import base64
import copy
import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edgeseg.data.open import open_data
from edgeseg_runtime.errors import DatasetError
from tests.edgeseg.data.samples import write, write_picture

HEIGHT, WIDTH, ROUNDS = 4, 6, 60
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    7,
    1e308,
    float("nan"),
    1 << 70,
    "",
    "x",
    "1",
    [],
    [[]],
    {},
    {"a": 1},
    [1, 2],
    [[1, 2]],
]
SQUARE = [[0, 0], [3, 0], [3, 2], [0, 2]]
BITS = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR4nGNgYGD4DwABBAEAfbLI3wAAAABJRU5ErkJggg=="
ZIPPED = base64.b64encode(zlib.compress(base64.b64decode(BITS))).decode()

COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
    "categories": [{"id": 1, "name": "cat", "color": [1, 2, 3]}, {"id": 2, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [[0, 0, 3, 0, 3, 2]]},
        {"id": 2, "image_id": 1, "category_id": 2, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [5, 19]}},
        {"id": 3, "image_id": 1, "category_id": 2, "segmentation": {"size": [HEIGHT, WIDTH], "counts": "0h0"}},
    ],
}
LABELME = {
    "imagePath": "a.png",
    "imageHeight": HEIGHT,
    "imageWidth": WIDTH,
    "shapes": [
        {"label": "cat", "points": SQUARE, "shape_type": "polygon"},
        {"label": "dog", "points": SQUARE[::2], "shape_type": "rectangle"},
        {"label": "dog", "points": SQUARE[:2], "shape_type": "circle"},
        {"label": "dog", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": BITS},
    ],
}
SUPERVISELY = {
    "size": {"height": HEIGHT, "width": WIDTH},
    "objects": [
        {"classTitle": "cat", "geometryType": "polygon", "points": {"exterior": SQUARE, "interior": [SQUARE]}},
        {"classTitle": "cat", "geometryType": "rectangle", "points": {"exterior": SQUARE[::2], "interior": []}},
        {"classTitle": "cat", "geometryType": "bitmap", "bitmap": {"data": ZIPPED, "origin": [1, 1]}},
    ],
}
CVAT = f"""<annotations><meta><task><labels><label><name>cat</name><color>#010203</color></label></labels></task></meta>
<image id="0" name="a.png" width="{WIDTH}" height="{HEIGHT}"><polygon label="cat" points="0,0;3,0;3,2" z_order="0"/>
<box label="cat" xtl="0" ytl="0" xbr="2" ybr="2" rotation="9"/><ellipse label="cat" cx="2" cy="2" rx="1" ry="1"/>
<mask label="cat" rle="0, 4" left="0" top="0" width="2" height="2"/></image></annotations>"""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to everything in a JSON value."""
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def broken(value: Any, chance: random.Random) -> Any:
    """Change or take out one thing, or two."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 2])):
        *way, last = chance.choice(places(value)[1:] or [("gone",)])
        holder = value
        for key in way:
            holder = holder[key]
        if chance.random() < 0.25:
            holder.pop(last, None) if isinstance(holder, dict) else holder.pop(last)
        else:
            holder[last] = chance.choice(ODD)
    return value


def put_coco(root: Path, chance: random.Random) -> None:
    write(root / "annotations/instances_all.json", json.dumps(broken(COCO, chance)))


def put_labelme(root: Path, chance: random.Random) -> None:
    write(root / "a.json", json.dumps(broken(LABELME, chance)))


def put_supervisely(root: Path, chance: random.Random) -> None:
    write(root / "meta.json", json.dumps({"classes": [{"title": "cat"}]}))
    write(root / "all/ann/a.png.json", json.dumps(broken(SUPERVISELY, chance)))
    write_picture(root / "all/img/a.png", HEIGHT, WIDTH)


def put_supervisely_meta(root: Path, chance: random.Random) -> None:
    put_supervisely(root, chance)
    write(root / "meta.json", json.dumps(broken({"classes": [{"title": "cat", "color": "#112233"}]}, chance)))


def put_cvat(root: Path, chance: random.Random) -> None:
    tree = ElementTree.fromstring(CVAT)
    element = chance.choice(list(tree.iter()))
    if element.attrib and chance.random() < 0.9:
        name = chance.choice(list(element.attrib))
        element.attrib[name] = chance.choice(["", "x", "-1", "1e308", "nan", "1,2", "1;2", "9" * 30, "0,0;1"])
        if chance.random() < 0.3:
            del element.attrib[name]
    else:
        element.tag, element.text = (
            chance.choice(["label", "image", "box", "track", "name"]),
            chance.choice([None, "x"]),
        )
    write(root / "annotations.xml", ElementTree.tostring(tree, encoding="unicode"))


def put_yolo(root: Path, chance: random.Random) -> None:
    words = ["0", "0.1", "0.1", "0.9", "0.1", "0.9", "0.9\n1", "0.2", "0.2", "0.4", "0.2", "0.4", "0.4"]
    words[chance.randrange(len(words))] = chance.choice(["", "x", "nan", "1e308", "-1", "\n", "9" * 30, "²"])
    write(root / "labels/a.txt", " ".join(words))
    write(
        root / "data.yaml",
        chance.choice(["names: [cat, dog]", "names: {0: cat, 1: dog}", "names: {a: b}", "names: 3", "[", ""]),
    )
    write_picture(root / "images/a.png", HEIGHT, WIDTH)


@pytest.mark.parametrize("put", [put_coco, put_labelme, put_supervisely, put_supervisely_meta, put_cvat, put_yolo])
def test_a_broken_file_is_read_or_refused_with_a_reason(
    put: Callable[[Path, random.Random], None], tmp_path: Path
) -> None:
    chance = random.Random(1)
    write_picture(tmp_path / "a.png", HEIGHT, WIDTH)
    outcomes = set()
    for _ in range(ROUNDS):
        put(tmp_path, chance)
        try:
            data = open_data(str(tmp_path), "all")
        except DatasetError as error:
            assert str(error)
            outcomes.add("refused")
        else:
            assert data.read(0).mask.shape == (HEIGHT, WIDTH)
            outcomes.add("read")
    assert "refused" in outcomes
