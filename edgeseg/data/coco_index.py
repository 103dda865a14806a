"""Where things are in a COCO annotation file, without keeping it in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.data.base import BadFileError, Rgb, ShapeError
from edgeseg.data.files import Size
from edgeseg.data.jsonfiles import list_items, read_span
from edgeseg.data.shapes import need, optional_size, told_as

_KEPT = 4


@dataclass(frozen=True)
class CocoImage:
    """A picture as the file describes it."""

    name: str
    """Its file's name, with folders sometimes."""
    size: Size | None
    """Height and width, where the file gives them."""


@dataclass(frozen=True)
class CocoIndex:
    """What an annotation file holds."""

    path: Path
    images: dict[str, CocoImage]
    """By id; ids are kept as text."""
    categories: dict[int, str]
    """Names by id, in the order of the ids."""
    groups: frozenset[int]
    """Ids of the categories that only group others, and no annotation here is of."""
    colors: dict[str, Rgb]
    """Of the categories that have one."""
    spans: dict[str, array[int]]
    """By picture's id: where its annotations start and end in the file, in bytes."""
    masks: dict[str, str]
    """By picture's id: the mask's file name, in panoptic files."""
    lists: frozenset[str]
    """Names of the lists that hold something."""
    strays: int
    """Annotations of pictures that are not in the file."""
    repeated: tuple[int, ...]
    """Ids that more than one annotation has."""

    def annotations(self, image: str) -> Iterator[Any]:
        """Yield the annotations of a picture as they stand in the file. Raises BadFileError."""
        spans = self.spans.get(image, array("q"))
        for start, end in zip(spans[::2], spans[1::2], strict=True):
            yield read_span(self.path, start, end)


def read_index(path: Path) -> CocoIndex:
    """Read an annotation file through once. Raises BadFileError."""
    try:
        stat = path.stat()
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror}") from error
    return _read_index(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(_KEPT)  # train and val are opened apart, but recognised together
def _read_index(path: Path, _changed: int, _size: int) -> CocoIndex:
    images: dict[str, CocoImage] = {}
    categories: dict[int, str] = {}
    colors: dict[str, Rgb] = {}
    spans: dict[str, array[int]] = {}
    masks: dict[str, str] = {}
    parents: dict[int, Any] = {}
    used: set[int] = set()
    ids = array("q")
    lists = set()
    for name, value, start, end in list_items(path):
        lists.add(name)
        if name == "annotations":
            with told_as(path, f"annotation {_id(value)}"):
                key = _key(value, "image_id")
                spans.setdefault(key, array("q")).extend((start, end))
                if _is_id(value.get("id")):
                    ids.append(value["id"])
                if _is_id(value.get("category_id")):
                    used.add(value["category_id"])
                if "file_name" in value:
                    masks[key] = need(value, "file_name", str)
        elif name == "images":
            with told_as(path, f"image {_id(value)}"):
                key = _key(value, "id")
                if key in images:
                    raise ShapeError("its id is given twice")
                place = need(value, "file_name", str).replace("\\", "/")  # as some programs write it on Windows
                images[key] = CocoImage(place, optional_size(value, "height", "width"))
        elif name == "categories":
            with told_as(path, f"category {_id(value)}"):
                if need(value, "id", int) in categories:
                    raise ShapeError("its id is given twice")
                categories[value["id"]] = need(value, "name", str)
                parents[value["id"]] = value.get("supercategory")
                if color := _rgb(value.get("color")):
                    colors[value["name"]] = color
    strays = sum(len(found) // 2 for key, found in spans.items() if key not in images)
    groups = frozenset(number for number, name in categories.items() if _is_group(number, name, parents)) - used
    ordered = dict(sorted(categories.items()))
    found, counts = np.unique(np.frombuffer(ids, np.int64), return_counts=True)
    repeated = tuple(found[counts > 1].tolist())
    return CocoIndex(path, images, ordered, groups, colors, spans, masks, frozenset(lists), strays, repeated)


def _is_group(number: int, name: str, parents: Mapping[int, Any]) -> bool:
    """Whether a category only groups others: Roboflow lists the group with them, at times under a class's own name."""
    others = (parent for other, parent in parents.items() if other != number)
    return parents[number] == "none" != name and name in others


def _id(value: Any) -> Any:
    return value.get("id", "without id") if isinstance(value, dict) else repr(value)[:40]


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def _key(value: Any, name: str) -> str:
    if isinstance(value, dict) and isinstance(value.get(name), str):
        return str(value[name])
    return str(need(value, name, int))


def _rgb(value: Any) -> Rgb | None:
    if isinstance(value, list) and len(value) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in value):
        return value[0], value[1], value[2]
    return None
