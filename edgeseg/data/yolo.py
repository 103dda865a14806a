"""YOLO segmentation labels: a text file a picture, a polygon a line, `class x1 y1 x2 y2 …` in shares of its size.

Pixels of no polygon are the class `background`, as is a picture without a label file. Small polygons lie on top, for
the format says nothing of what is in front. Points a little outside the picture are cut off at its border.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edgeseg.data.base import BadFileError, ShapeError
from edgeseg.data.drawn import Drawn, PaintedTruth
from edgeseg.data.files import Layout, Pair, Pairing, Problem, Size, list_pictures, read_lines
from edgeseg.data.named import NamedClasses, named_classes
from edgeseg.data.polygons import fill
from edgeseg.data.shapes import number, told_as
from edgeseg_runtime.errors import DatasetError

SPLITS = ("train", "val", "test")
WHOLE = "all"
_TABLES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt")
_OUTSIDE = 0.05
"""How far, in shares of the picture, a point may lie outside: what cropping leaves. Pixels would be far beyond."""
LOOKED_FOR = (
    "YOLO segmentation: data.yaml (names, train, val, test), or images/SPLIT/ + labels/SPLIT/*.txt, SPLIT/images/ +"
    " SPLIT/labels/, or images/ + labels/ with classes.txt"
)


@dataclass(frozen=True)
class YoloShapes:
    """Draws the polygons of a label file; class k of the file is the k-th name."""

    classes: NamedClasses
    names: tuple[str, ...]

    def __call__(self, pair: Pair, size: Size) -> list[Drawn]:
        """Draw the polygons. Raises BadFileError, naming the line."""
        height, width = size
        drawn = []
        for line, text in _label_lines(pair.mask):
            with told_as(pair.mask, f"line {line}"):
                index, *values = text.split()
                if not index.isdecimal() or int(index) >= len(self.names):
                    raise ShapeError(f"the class is a number in 0..{len(self.names) - 1}, got {index!r}")
                if len(values) == 4:
                    raise ShapeError("is a box of a detection set (class x y width height), not a polygon")
                if len(values) % 2 or len(values) < 6:
                    raise ShapeError(f"a polygon needs x and y of at least 3 points, got {len(values)} numbers")
                places = np.array([number(value, "coordinate") for value in values]).reshape(-1, 2)
                if places.min() < -_OUTSIDE or places.max() > 1 + _OUTSIDE:
                    worst = max(places.ravel().tolist(), key=lambda value: abs(value - 0.5))
                    raise ShapeError(f"coordinates are shares of the picture, 0..1, got {worst:g}")
                region = fill([places * (width, height)], height, width)
                drawn.append(Drawn(self.classes.index(self.names[int(index)]), region))
        return drawn


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds YOLO labels, else None. Raises DatasetError where class names are missing."""
    table = next((root / name for name in _TABLES if (root / name).is_file()), None)
    described = _described(table) if table is not None and table.suffix != ".txt" else {}
    pictures = _from_yaml(root, described) or _from_folders(root)
    pictures = {split: found for split, found in pictures.items() if any(_has_labels(folder) for folder in found)}
    if not pictures:
        return None
    if table is None:
        raise DatasetError(
            f"{root} holds YOLO labels but no class names; add data.yaml with names, or classes.txt, one name a line"
        )
    names = _names(table, described)
    classes = named_classes(names, table)
    splits = {split: _pairing(folders) for split, folders in pictures.items()}
    truth = PaintedTruth(YoloShapes(classes, tuple(names)), classes.background, ordered=False)
    return Layout("YOLO segmentation", classes.labels, truth, splits)


def _described(table: Path) -> dict[str, Any]:
    try:
        described = yaml.safe_load(table.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatasetError(f"{table} cannot be read: {' '.join(str(error).split())}") from error
    return described if isinstance(described, dict) else {}


def _names(table: Path, described: dict[str, Any]) -> list[str]:
    if table.suffix == ".txt":
        return [line for _, line in read_lines(table)]
    names = described.get("names")
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DatasetError(f"{table}: names must be numbered 0, 1, 2, …, got {', '.join(map(str, names))}")
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list):
        raise DatasetError(f"{table}: has no list of names")
    return [str(name) for name in names]


def _from_yaml(root: Path, described: dict[str, Any]) -> dict[str, list[Path]]:
    """Return the picture folders that data.yaml names. Programs differ in what they are relative to."""
    home = described.get("path")
    bases = [root / home, root] if isinstance(home, str) else [root]
    found = {}
    for split in SPLITS:
        entry = described.get(split) or (described.get("valid") if split == "val" else None)
        folders = []
        for text in entry if isinstance(entry, list) else [entry]:
            if isinstance(text, str):
                places = [base / part for base in bases for part in (text, text.removeprefix("../"))]
                folders += [place for place in places if place.is_dir()][:1]
        if folders:
            found[split] = folders
    return found


def _from_folders(root: Path) -> dict[str, list[Path]]:
    inside = {split: [root / "images" / split] for split in SPLITS if (root / "images" / split).is_dir()}
    outside = {split: [root / split / "images"] for split in SPLITS if (root / split / "images").is_dir()}
    return inside or outside or ({WHOLE: [root / "images"]} if (root / "images").is_dir() else {})


def _labels_folder(pictures: Path) -> Path:
    """Return the folder of the labels: the path with its last `images` turned into `labels`."""
    parts = list(pictures.parts)
    for place in range(len(parts) - 1, -1, -1):
        if parts[place] == "images":
            return Path(*parts[:place], "labels", *parts[place + 1 :])
    return pictures


def _has_labels(pictures: Path) -> bool:
    """Whether there are label files: text files whose first line begins with a number."""
    folder = _labels_folder(pictures)
    texts = (path for path in sorted(folder.glob("*.txt")) if path.name not in _TABLES) if folder.is_dir() else ()
    first = next((line.split() for path in texts for line in _first_line(path)), [])
    return len(first) > 4 and first[0].isdecimal()


def _first_line(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as handle:
        return [line for line in [handle.readline(1000).strip()] if line]


def _pairing(folders: list[Path]) -> Pairing:
    pairs, problems = [], []
    for folder in folders:
        labels = _labels_folder(folder)
        pictures = list_pictures(folder)
        pairs += [Pair(picture, labels / f"{picture.stem}.txt") for picture in pictures]
        stems = {picture.stem for picture in pictures}
        texts = (path for path in sorted(labels.glob("*.txt")) if path.name not in _TABLES)
        problems += [Problem(path, f"has no picture in {folder}") for path in texts if path.stem not in stems]
    return Pairing(tuple(pairs), tuple(problems))


def _label_lines(path: Path) -> list[tuple[int, str]]:
    if not path.exists():
        return []
    try:
        return read_lines(path)
    except DatasetError as error:
        raise BadFileError(path, "not a text file in UTF-8 that can be read") from error
