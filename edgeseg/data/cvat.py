"""CVAT for images 1.1: one annotations.xml beside the pictures (docs.cvat.ai, "XML annotation format").

Shapes are painted in the order of their z_order, then of the file. Pixels of no shape are `background`. Tags say
something of the whole picture and are left alone; lines, points, cuboids and skeletons have no area and are refused.
Shapes of one label in the same group are one object.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeseg.data.base import BadFileError, Rgb, ShapeError
from edgeseg.data.drawn import Drawn, PaintedTruth
from edgeseg.data.files import Layout, Pair, Problem, Size, check_size, in_name_order
from edgeseg.data.named import NamedClasses, named_classes
from edgeseg.data.polygons import Points, box, ellipse, fill, place
from edgeseg.data.shapes import hex_color, number, points, told_as
from edgeseg.data.split_names import SPLIT_NAMES, WHOLE
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.rle import decode

_SPLITS = SPLIT_NAMES | {"default": WHOLE}
_NO_AREA = ("polyline", "points", "cuboid", "skeleton")
_DRAWN = ("polygon", "box", "ellipse", "mask")
_NO_GROUP = "0"
LOOKED_FOR = "CVAT for images 1.1: annotations.xml; pictures in images/, images/SUBSET/ or beside it"

Shape = tuple[str, dict[str, str]]
"""Element's name and attributes."""


@dataclass(frozen=True)
class CvatImage:
    """An `<image>` of the file."""

    name: str
    subset: str
    """As the file calls it."""
    size: Size
    shapes: tuple[Shape, ...]

    @property
    def split(self) -> str:
        """What edgeseg calls its subset."""
        return _SPLITS.get(self.subset.lower(), self.subset)


@dataclass(frozen=True)
class CvatShapes:
    """Draws the shapes of a picture."""

    images: Mapping[str, CvatImage]
    classes: NamedClasses

    def __call__(self, pair: Pair, size: Size) -> list[Drawn]:
        """Draw the shapes. Raises BadFileError, naming picture and shape."""
        image = self.images[pair.key]
        check_size(pair.mask, image.size, size, f"picture {image.name}")
        drawn = []
        for place_in_file, (kind, values) in enumerate(image.shapes):
            with told_as(pair.mask, f"{image.name}, shape {place_in_file} ({kind} {values.get('label', '')!r})"):
                order = number(values.get("z_order", "0"), "z_order")
                group = values.get("group_id", _NO_GROUP)
                label = self.classes.index(values.get("label", ""))
                shape = Drawn(label, _region(kind, values, size), group="" if group == _NO_GROUP else group)
                drawn.append((order, shape))
        return [shape for _, shape in sorted(drawn, key=lambda item: item[0])]


def _region(kind: str, values: dict[str, str], size: Size) -> Region:
    if kind in _NO_AREA:
        raise ShapeError("has no area; draw it as a polygon")
    if kind == "polygon":
        return fill([_points(values.get("points", ""))], *size)
    rotation = number(values.get("rotation", "0"), "rotation")
    if kind == "box":
        left, top, right, bottom = (number(values.get(name), name) for name in ("xtl", "ytl", "xbr", "ybr"))
        if right < left or bottom < top:
            raise ShapeError(f"a box needs xtl ≤ xbr and ytl ≤ ybr, got {left:g}, {top:g}, {right:g}, {bottom:g}")
        return fill([box(left, top, right, bottom, rotation)], *size)
    if kind == "ellipse":
        x, y, radius_x, radius_y = (number(values.get(name), name) for name in ("cx", "cy", "rx", "ry"))
        if radius_x < 0 or radius_y < 0:
            raise ShapeError(f"an ellipse's radii must not be negative, got {radius_x:g} and {radius_y:g}")
        return fill([ellipse(x, y, radius_x, radius_y, rotation)], *size)
    left, top, width, height = (int(number(values.get(name), name)) for name in ("left", "top", "width", "height"))
    if not (0 < width <= 1 << 15 and 0 < height <= 1 << 15):
        raise ShapeError(f"a mask must be 1 to {1 << 15} px wide and high, got {width}×{height}")
    counts = [int(number(text, "rle")) for text in values.get("rle", "").split(",")]
    return place(decode(counts, height, width, columns=False), top, left, *size)


def _points(text: str) -> Points:
    """Read `x,y;x,y;…`."""
    pairs = [part.split(",") for part in text.split(";") if part.strip()]
    return points([[number(value, "points") for value in pair] for pair in pairs])


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds a CVAT export, else None. Raises DatasetError for a broken one."""
    path = root / "annotations.xml"
    if not path.is_file():
        return None
    names, colors, images = _parsed(path)
    classes = named_classes(names, path, colors)
    pairs: dict[str, list[Pair]] = {}
    problems: dict[str, list[Problem]] = {}
    for key, image in images.items():
        folders = (root / "images", root / "images" / image.subset, root / "images" / image.split, root)
        picture = next((folder / image.name for folder in folders if (folder / image.name).is_file()), None)
        if picture is None:
            reason = f"lists the picture {image.name}, which is not there"
            problems.setdefault(image.split, []).append(Problem(path, reason))
        else:
            pairs.setdefault(image.split, []).append(Pair(picture, path, key))
    found = dict.fromkeys([*pairs, *problems])
    splits = {split: in_name_order(pairs.get(split, ()), problems.get(split, ())) for split in found}
    truth = PaintedTruth(CvatShapes(images, classes), classes.background, ordered=True)
    return Layout("CVAT for images 1.1", classes.labels, truth, splits)


def _parsed(path: Path) -> tuple[list[str], dict[str, Rgb], dict[str, CvatImage]]:
    """Return class names, their colours, and the pictures by id. Raises DatasetError."""
    names: list[str] = []
    colors: dict[str, Rgb] = {}
    images: dict[str, CvatImage] = {}
    try:
        for _, element in ET.iterparse(path):
            if element.tag == "label" and element.find("name") is not None:
                # a part of a skeleton is a label with a parent, and never drawn
                if not element.findtext("parent"):
                    names.append(element.findtext("name") or "")
                    if color := hex_color(element.findtext("color")):
                        colors[names[-1]] = color
            elif element.tag == "image":
                _add_image(path, element, images)
                element.clear()
            elif element.tag == "track":
                raise DatasetError(f"{path} is CVAT for video; export it as CVAT for images")
    except ET.ParseError as error:
        raise BadFileError(path, f"is not XML: {error}") from error
    if not images:
        raise BadFileError(path, "lists no picture: is it an export in the format CVAT for images 1.1?")
    return list(dict.fromkeys(names)), colors, images  # a project may name them for each task


def _add_image(path: Path, element: ET.Element, images: dict[str, CvatImage]) -> None:
    name, subset = element.get("name", ""), element.get("subset", "default")
    with told_as(path, f"picture {name!r}"):
        size = int(number(element.get("height"), "height")), int(number(element.get("width"), "width"))
        shapes = tuple((shape.tag, dict(shape.attrib)) for shape in element if shape.tag in (*_DRAWN, *_NO_AREA))
        key = f"{subset}/{name}"
        if not name or key in images:
            raise ShapeError("is listed twice" if name else "has no name")
    images[key] = CvatImage(name, subset, size, shapes)
