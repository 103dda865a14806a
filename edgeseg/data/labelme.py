"""LabelMe: a JSON file beside each picture (github.com/wkentaro/labelme).

Shapes lie over each other in the file's order, as in the program. Pixels of no shape are `background`; the labels
`_background_` and `__ignore__` mean what they say. Points and lines have no area and are refused, not dropped. Shapes
of one label with the same group id are one object.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from pathlib import Path, PureWindowsPath
from typing import Any

from edgeseg.data.base import BadFileError, ShapeError
from edgeseg.data.drawn import Drawn, PaintedTruth
from edgeseg.data.files import NOT_READ, Layout, Pair, Pairing, Problem, Size, check_size, list_pictures, read_names
from edgeseg.data.jsonfiles import read_json
from edgeseg.data.named import NamedClasses, named_classes
from edgeseg.data.polygons import box, ellipse, fill, place
from edgeseg.data.shapes import embedded_mask, need, optional_size, points, told_as
from edgeseg.data.split_names import WHOLE, split_folders
from edgeseg_runtime.instances.region import Region

_TABLES = ("labels.txt", "classes.txt")
LOOKED_FOR = (
    "LabelMe: *.json beside their pictures, in the folder itself, SPLIT/ or annotations/; classes from labels.txt or"
    " classes.txt, else every label that occurs"
)


@dataclass(frozen=True)
class LabelmeShapes:
    """Draws the shapes of a LabelMe file."""

    classes: NamedClasses

    def __call__(self, pair: Pair, size: Size) -> list[Drawn]:
        """Draw the shapes. Raises BadFileError, naming the shape."""
        content = read_json(pair.mask)
        with told_as(pair.mask, "the file"):
            shapes = need(content, "shapes", list)
            stored = optional_size(content, "imageHeight", "imageWidth")
        if stored is not None:
            check_size(pair.mask, stored, size, "the annotation")
        drawn = []
        for number, shape in enumerate(shapes):
            with told_as(pair.mask, f"shape {number} ({shape.get('label') if isinstance(shape, dict) else shape!r})"):
                label = self.classes.index(need(shape, "label", str))
                group = shape.get("group_id")
                drawn.append(Drawn(label, _region(shape, size), group="" if group is None else str(group)))
        return drawn


def _region(shape: dict[str, Any], size: Size) -> Region:
    kind = shape.get("shape_type") or "polygon"
    raw = need(shape, "points", list)
    if kind in ("polygon", "oriented_rectangle", "rotation"):  # the last is X-AnyLabeling's
        return fill([points(raw)], *size)
    if kind not in ("rectangle", "circle", "mask"):
        raise ShapeError(f"a {kind} has no area; draw it as a polygon")
    corners = points(raw, 2)
    if kind == "rectangle" and len(corners) > 2:
        return fill([corners], *size)
    if len(corners) != 2:
        raise ShapeError(f"a {kind} has 2 points, got {len(corners)}")
    (x, y), (other_x, other_y) = corners.tolist()
    if kind == "circle":
        radius = hypot(other_x - x, other_y - y)
        return fill([ellipse(x, y, radius, radius)], *size)
    left, top, right, bottom = min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)
    if kind == "rectangle":
        return fill([box(left, top, right, bottom)], *size)
    inside = embedded_mask(need(shape, "mask", str), packed=False)
    expected = int(bottom) - int(top) + 1, int(right) - int(left) + 1
    if inside.shape != expected:
        raise ShapeError(f"its mask is {inside.shape[1]}×{inside.shape[0]} px, its box {expected[1]}×{expected[0]}")
    return place(inside, int(top), int(left), *size)


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds LabelMe files, else None. Raises DatasetError."""
    folders = _folders(root)
    files = {split: list_pictures(folder, (".json",)) for split, folder in folders.items()}
    if not any(_is_labelme(path) for found in files.values() for path in found):
        return None
    splits: dict[str, Pairing] = {}
    labels: set[str] = set()
    for split, found in files.items():
        splits[split], seen = _pairing(folders[split], found)
        labels |= seen
    table = next((root / name for name in _TABLES if (root / name).is_file()), None)
    names = sorted(labels) if table is None else read_names(table)
    classes = named_classes(names, table or root)
    truth = PaintedTruth(LabelmeShapes(classes), classes.background, ordered=True)
    return Layout("LabelMe", classes.labels, truth, splits)


def _folders(root: Path) -> dict[str, Path]:
    for places in (split_folders(root), split_folders(root / "annotations")):
        if found := {split: folder for split, folder in places.items() if any(folder.glob("*.json"))}:
            return found
    return {WHOLE: next((f for f in (root, root / "annotations") if any(f.glob("*.json"))), root)}


def _is_labelme(path: Path) -> bool:
    try:
        content = read_json(path)
    except BadFileError:
        return False
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def _pairing(folder: Path, files: list[Path]) -> tuple[Pairing, set[str]]:
    """Pair the files with their pictures; return the labels that occur, too.

    Of several files of one picture that of its name counts.
    """
    pictures = list_pictures(folder)
    beside = {picture.with_suffix(""): picture for picture in pictures}
    found: dict[Path, list[Pair]] = {}
    labels: dict[Path, set[str]] = {}
    problems: list[Problem] = []
    for path in files:
        try:
            content = read_json(path)
            with told_as(path, "the file"):
                picture = _picture(path, need(content, "imagePath", str), beside.get(path.with_suffix("")))
        except BadFileError as error:
            problems.append(Problem(error.path, error.reason))
            continue
        found.setdefault(picture.resolve(), []).append(Pair(picture, path))
        labels[path] = _labels(content)
    pairs = []
    for several in found.values():
        chosen = next((pair for pair in several if pair.mask.stem == pair.image.stem), several[0])
        pairs.append(chosen)
        reason = f"is of the picture {chosen.image.name}, as {chosen.mask.name} is: keep one"
        problems += [Problem(pair.mask, reason) for pair in several if pair != chosen]
    labelled = found.keys() | {path.with_suffix("") for path in files}
    alone = (p for p in pictures if not {p.resolve(), p.with_suffix("")} & labelled)
    problems += [Problem(picture, "has no JSON file beside it") for picture in alone]
    inner = (place for place in sorted(folder.iterdir()) if place.is_dir() and not place.name.startswith("."))
    problems += [Problem(place, NOT_READ) for place in inner if any(map(_is_labelme, list_pictures(place, (".json",))))]
    seen: set[str] = set().union(*(labels[pair.mask] for pair in pairs))
    return Pairing(tuple(pairs), tuple(problems)), seen


def _labels(content: dict[str, Any]) -> set[str]:
    shapes = content.get("shapes")
    listed = shapes if isinstance(shapes, list) else ()
    return {shape["label"] for shape in listed if isinstance(shape, dict) and isinstance(shape.get("label"), str)}


def _picture(path: Path, entry: str, twin: Path | None) -> Path:
    """Return the picture: where the file says, written on whatever system, or beside the file under that name.

    `twin` is the picture beside the file under the file's own name. Raises ShapeError where there is no picture, or the
    twin is another: pictures that were renamed with their files are still called what they were.
    """
    named = Path(*PureWindowsPath(entry).parts)
    found = next((place for place in (path.parent / named, path.parent / named.name) if place.is_file()), None)
    if twin is not None and (found is None or found.stem != twin.stem):
        raise ShapeError(f"says that its picture is {entry!r}, but {twin.name} lies beside it: correct one of them")
    if found is None:
        raise ShapeError(f"the picture {entry!r} is not there")
    return found
