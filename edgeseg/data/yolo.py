"""YOLO segmentation labels: a text file a picture, a polygon a line, `class x1 y1 x2 y2 …` in shares of its size.

Pixels of no polygon are the class `background`, as is a picture without a label file in a split that has some. Small
polygons lie on top, for the format says nothing of what is in front. Points a little outside the picture are cut off at
its border. Pictures are looked for in folders of folders too, and in lists, as Ultralytics' programs do
(docs.ultralytics.com/datasets/segment).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edgeseg.data.base import BadFileError, ShapeError
from edgeseg.data.drawn import Drawn, PaintedTruth
from edgeseg.data.files import (
    Layout,
    Pair,
    Pairing,
    Problem,
    Size,
    list_below,
    one_of_each_name,
    read_lines,
    read_names,
)
from edgeseg.data.named import NamedClasses, named_classes
from edgeseg.data.pictures import PICTURE_SUFFIXES
from edgeseg.data.polygons import fill
from edgeseg.data.shapes import number, told_as
from edgeseg.data.split_names import SPLITS, WHOLE, split_folders
from edgeseg_runtime.errors import DatasetError

_TABLES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt")
_OUTSIDE = 0.05
"""How far, in shares of the picture, a point may lie outside: what cropping leaves. Pixels would be far beyond."""
CLOSED = "has pictures, but not one label file"
LOOKED_FOR = (
    "YOLO segmentation: data.yaml (names; train, val, test: folders or lists of pictures), or images/SPLIT/ +"
    " labels/SPLIT/*.txt, SPLIT/images/ + SPLIT/labels/, or images/ + labels/ with classes.txt"
)


@dataclass(frozen=True)
class Listed:
    """The pictures of a split and where their labels would be."""

    pairs: tuple[Pair, ...] = ()
    alone: tuple[Path, ...] = ()
    """Texts among the labels that belong to no picture."""
    problems: tuple[Problem, ...] = ()

    def __add__(self, other: Listed) -> Listed:
        """Return both, as of one split."""
        return Listed(self.pairs + other.pairs, self.alone + other.alone, self.problems + other.problems)

    @property
    def unlabelled(self) -> bool:
        """Whether there are pictures, and not one of them has a label file, empty or not."""
        return bool(self.pairs) and not any(pair.mask.is_file() for pair in self.pairs)

    @property
    def pairing(self) -> Pairing:
        """All of it as other formats have it, once it is known to be labels of YOLO."""
        problems = [*self.problems, *(Problem(path, "has no picture of its name") for path in self.alone)]
        if not self.unlabelled:
            return Pairing(self.pairs, tuple(problems))
        first = self.pairs[0]
        reason = f"not one of its {len(self.pairs)} pictures has a label file, such as {first.mask}"
        return Pairing((), (*problems, Problem(first.image.parent, reason)))


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
    splits = _from_yaml(root, table, described) if table is not None else {}
    if not any(listed.pairs for listed in splits.values()):
        splits = {split: _folder(folder) for split, folder in _picture_folders(root).items()}
    if not any(_has_labels(listed) for listed in splits.values()):
        return None
    if table is None:
        raise DatasetError(
            f"{root} holds YOLO labels but no class names; add data.yaml with names, or classes.txt, one name a line"
        )
    names = _names(table, described)
    classes = named_classes(names, table)
    truth = PaintedTruth(YoloShapes(classes, tuple(names)), classes.background, ordered=False)
    closed = {"test": said} if (said := _why_closed(splits.get("test", Listed()), table)) else {}
    pairings = {split: listed.pairing for split, listed in splits.items() if split not in closed}
    return Layout("YOLO segmentation", classes.labels, truth, pairings, closed)


def _why_closed(test: Listed, table: Path) -> str | None:
    """Why there is nothing to score on: not a label, or no such folder, which Roboflow's tables name all the same."""
    if test.unlabelled:
        return CLOSED
    missing = [problem.reason for problem in test.problems if problem.path == table]
    return f"is empty: {table.name}: {missing[0]}" if missing and not test.pairs else None


def _described(table: Path) -> dict[str, Any]:
    try:
        described = yaml.safe_load(table.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DatasetError(f"{table} cannot be read: {' '.join(str(error).split())}") from error
    return described if isinstance(described, dict) else {}


def _names(table: Path, described: dict[str, Any]) -> list[str]:
    if table.suffix == ".txt":
        return read_names(table)
    names = described.get("names")
    if isinstance(names, dict):
        numbered = {str(key): name for key, name in names.items()}
        if numbered.keys() != {str(index) for index in range(len(names))}:
            raise DatasetError(f"{table}: names must be numbered 0, 1, 2, …, got {', '.join(map(repr, names))}")
        names = [numbered[str(index)] for index in range(len(names))]
    if not isinstance(names, list):
        raise DatasetError(f"{table}: has no list of names")
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int | float):
            raise DatasetError(f"{table}: YAML takes a name for {name!r}; write it in quotes")
    return [str(name) for name in names]


def _from_yaml(root: Path, table: Path, described: dict[str, Any]) -> dict[str, Listed]:
    """Return what data.yaml names. Programs differ in what its folders and lists are relative to."""
    home = described.get("path")
    bases = [root / home, root] if isinstance(home, str) else [root]
    found: dict[str, Listed] = {}
    for split in SPLITS:
        entry = described.get(split) or (described.get("valid") if split == "val" else None)
        for text in entry if isinstance(entry, list) else [entry]:
            if isinstance(text, str):
                missing = Problem(table, f"names {text} for {split}, which is not there")
                found[split] = found.get(split, Listed()) + (_named(text, bases) or Listed(problems=(missing,)))
    return found


def _named(text: str, bases: list[Path]) -> Listed | None:
    """Return what is in the folder or list of this name, None where there is neither."""
    inside = text.removeprefix("../")
    # Roboflow's client begins with the set's own folder, whatever that is called by now.
    parts = (text, inside, inside.partition("/")[2] or inside)
    place = next((base / part for base in bases for part in parts if (base / part).exists()), None)
    if place is None:
        return None
    return _list(place, bases) if place.is_file() else _folder(place)


def _picture_folders(root: Path) -> dict[str, Path]:
    inside = split_folders(root / "images")
    outside = {split: folder / "images" for split, folder in split_folders(root).items()}
    outside = {split: folder for split, folder in outside.items() if folder.is_dir()}
    return inside or outside or ({WHOLE: root / "images"} if (root / "images").is_dir() else {})


def _folder(folder: Path) -> Listed:
    pictures, problems = one_of_each_name(list_below(folder))
    labels = _labels_for(folder)
    texts = list_below(labels, (".txt",)) if labels.is_dir() else []
    pairs = tuple(Pair(picture, _label_of(picture)) for picture in pictures)
    known = {pair.mask for pair in pairs}
    alone = tuple(path for path in texts if path not in known and path.name not in _TABLES)
    return Listed(pairs, alone, tuple(problems))


def _list(path: Path, bases: list[Path]) -> Listed:
    """Return the pictures that a text file names, one a line, relative to itself or to what the set is relative to."""
    pictures, problems = [], []
    for line, text in read_lines(path):
        places = [base / text for base in (path.parent, *bases)]
        picture = next((place for place in places if place.is_file()), None)
        if picture is None or picture.suffix.lower() not in PICTURE_SUFFIXES:
            problems.append(Problem(path, f"line {line}: there is no picture {text}"))
        else:
            pictures.append(picture)
    kept, twice = one_of_each_name(dict.fromkeys(pictures))
    return Listed(tuple(Pair(picture, _label_of(picture)) for picture in kept), (), (*problems, *twice))


def _labels_for(pictures: Path) -> Path:
    """Return where labels are: the path with its last `images` turned into `labels`."""
    parts = list(pictures.parts)
    for place in range(len(parts) - 1, -1, -1):
        if parts[place] == "images":
            return Path(*parts[:place], "labels", *parts[place + 1 :])
    return pictures


def _label_of(picture: Path) -> Path:
    label = _labels_for(picture).with_suffix(".txt")
    return next((path for path in (label, label.with_suffix(".TXT")) if path.is_file()), label)


def _has_labels(listed: Listed) -> bool:
    """Whether there are label files: text files whose first line begins with a number."""
    texts = (*(pair.mask for pair in listed.pairs), *listed.alone)
    first = next((line.split() for path in texts if path.is_file() for line in _first_line(path)), [])
    return len(first) > 4 and first[0].isdecimal()


def _first_line(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        return [line for line in [handle.readline(1000).strip()] if line]


def _label_lines(path: Path) -> list[tuple[int, str]]:
    if not path.exists():
        return []
    try:
        return read_lines(path)
    except DatasetError as error:
        raise BadFileError(path, "not a text file in UTF-8 that can be read") from error
