"""A Supervisely project: meta.json and data sets of img/ + ann/*.json (docs.supervisely.com).

Its coordinates are whole pixels, and an outline's own pixels belong to the figure. Figures lie over each other in the
file's order. Pixels of no figure are `background`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.data.base import ShapeError
from edgeseg.data.drawn import Drawn, PaintedTruth
from edgeseg.data.files import Layout, Pair, Pairing, Problem, Size, check_size, list_pictures
from edgeseg.data.jsonfiles import read_json
from edgeseg.data.named import NamedClasses, named_classes
from edgeseg.data.polygons import fill_pixels, place
from edgeseg.data.shapes import embedded_mask, hex_color, need, points, told_as
from edgeseg.data.split_names import meant
from edgeseg_runtime.instances.region import Region

LOOKED_FOR = (
    "Supervisely: meta.json and SET/img/ + SET/ann/*.json, sets within sets too; each is a split under its name"
)


@dataclass(frozen=True)
class SuperviselyShapes:
    """Draws the figures of an annotation file."""

    classes: NamedClasses

    def __call__(self, pair: Pair, size: Size) -> list[Drawn]:
        """Draw the figures. Raises BadFileError, naming the figure."""
        content = read_json(pair.mask)
        with told_as(pair.mask, "the file"):
            figures, stored = need(content, "objects", list), need(content, "size", dict)
            check_size(pair.mask, (need(stored, "height", int), need(stored, "width", int)), size, "the annotation")
        drawn = []
        for number, figure in enumerate(figures):
            with told_as(pair.mask, f"object {number}"):
                drawn.append(Drawn(self.classes.index(need(figure, "classTitle", str)), _region(figure, size)))
        return drawn


def _region(figure: dict[str, Any], size: Size) -> Region:
    # Old exports name the kind by what they hold only.
    kind = figure.get("geometryType") or ("bitmap" if figure.get("bitmap") else "polygon")
    if kind == "bitmap":
        bitmap = need(figure, "bitmap", dict)
        (left, top), *_ = points([need(bitmap, "origin", list)], 1).astype(int).tolist()
        return place(embedded_mask(need(bitmap, "data", str), packed=True), top, left, *size)
    if kind not in ("polygon", "rectangle"):
        raise ShapeError(f"a {kind} has no area that could be drawn")
    places = need(figure, "points", dict)
    outline = need(places, "exterior", list)
    if kind == "rectangle":
        corners = points(outline, 2)
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return fill_pixels(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]), [], *size)
    holes = places.get("interior") or []
    if not isinstance(holes, list):
        raise ShapeError("'interior' must be a list of holes")
    return fill_pixels(points(outline), [points(hole) for hole in holes], *size)


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds a project, else None. Raises DatasetError for a broken meta.json."""
    meta = root / "meta.json"
    if not meta.is_file():
        return None
    sets = sorted(path.parent for path in root.rglob("ann") if path.is_dir() and (path.parent / "img").is_dir())
    if not sets:
        return None
    content = read_json(meta)
    with told_as(meta, "the file"):
        kinds = need(content, "classes", list)
    names, colors = [], {}
    for number, kind in enumerate(kinds):
        with told_as(meta, f"class {number}"):
            names.append(need(kind, "title", str))
        if color := hex_color(kind.get("color")):
            colors[names[-1]] = color
    classes = named_classes(names, meta, colors)
    truth = PaintedTruth(SuperviselyShapes(classes), classes.background, ordered=True)
    return Layout("Supervisely", classes.labels, truth, {name: _pairing(home) for name, home in _named(root, sets)})


def _named(root: Path, sets: list[Path]) -> list[tuple[str, Path]]:
    """Return each set with its name, or with the split that one alone of them is called."""
    names = [_name(root, home) for home in sets]
    splits = [meant(name) for name in names]
    return [
        (split if splits.count(split) == 1 else name, home)
        for name, split, home in zip(names, splits, sets, strict=True)
    ]


def _name(root: Path, home: Path) -> str:
    """Return what a set is called: sets within a set lie in its folder `datasets`."""
    return "/".join(part for part in home.relative_to(root).parts if part != "datasets") or home.name


def _pairing(home: Path) -> Pairing:
    """Pair pictures and annotations: `a.jpg` with `a.jpg.json`, or `a.json` as old exports have it."""
    pairs, problems, used = [], [], set()
    for picture in list_pictures(home / "img"):
        names = (f"{picture.name}.json", f"{picture.stem}.json")
        truth = next((home / "ann" / name for name in names if (home / "ann" / name).is_file()), None)
        if truth is None:
            problems.append(Problem(picture, f"has no annotation in {home / 'ann'}"))
        else:
            used.add(truth)
            pairs.append(Pair(picture, truth))
    alone = (path for path in list_pictures(home / "ann", (".json",)) if path not in used)
    problems += [Problem(path, f"has no picture in {home / 'img'}") for path in alone]
    return Pairing(tuple(pairs), tuple(problems))
