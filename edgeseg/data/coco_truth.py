"""COCO's annotated objects as shapes, and masks from its panoptic pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.data.base import IGNORE, BadFileError, ShapeError
from edgeseg.data.coco_index import CocoIndex
from edgeseg.data.drawn import Drawn
from edgeseg.data.files import Pair, Size, check_size
from edgeseg.data.pictures import read_stored
from edgeseg.data.polygons import fill, place, union
from edgeseg.data.shapes import flat_points, need, told_as
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.rle import decode, unsqueeze
from edgeseg_runtime.preprocess import Mask

_SHOWN = 5  # segment ids named in an error


@dataclass(frozen=True)
class CocoShapes:
    """Draws the objects and crowds of a picture."""

    files: Mapping[Path, CocoIndex]
    classes: Mapping[int, int]
    """Class index, or IGNORE, by category id."""

    def __call__(self, pair: Pair, size: Size) -> list[Drawn]:
        """Draw the shapes. Raises BadFileError, naming picture and annotation."""
        index = self.files[pair.mask]
        image = index.images[pair.key]
        if image.size is not None:
            check_size(pair.mask, image.size, size, f"picture {pair.key} ({image.name})")
        drawn = []
        for annotation in index.annotations(pair.key):
            with told_as(pair.mask, f"{image.name}, annotation {annotation.get('id', 'without id')}"):
                label = category_index(annotation, self.classes)
                box = stored_box(annotation)
                drawn.append(Drawn(label, segmentation(annotation, size), is_crowd(annotation), box=box))
        return drawn


@dataclass(frozen=True)
class PanopticTruth:
    """Turns segment ids, written as colours (id = R + 256 G + 256² B), into classes; id 0 is ignored.

    Each pixel is in one segment, and a crowd is of its class.
    """

    files: Mapping[Path, CocoIndex]
    """By the folder that holds the masks."""
    classes: Mapping[int, int]

    def __call__(self, pair: Pair, size: Size) -> Mask:
        """Read the mask. Raises BadFileError, also for segments that the annotations do not know."""
        stored = read_stored(pair.mask).values
        if stored.ndim != 3 or stored.dtype != np.uint8:
            raise BadFileError(pair.mask, "a panoptic mask holds segment ids as 8-bit R, G and B")
        check_size(pair.mask, (stored.shape[0], stored.shape[1]), size)
        blue, green, red = np.moveaxis(stored.astype(np.int32), 2, 0)
        ids, places = np.unique(red + 256 * green + 65536 * blue, return_inverse=True)
        known = {0: IGNORE}
        index = next(self.files[folder] for folder in pair.mask.parents if folder in self.files)
        for annotation in index.annotations(pair.key):
            for segment in _segments(pair.mask, annotation):
                with told_as(pair.mask, f"segment {segment.get('id') if isinstance(segment, dict) else segment}"):
                    known[need(segment, "id", int)] = category_index(segment, self.classes)
        if unknown := [int(value) for value in ids if int(value) not in known]:
            shown = ", ".join(map(str, unknown[:_SHOWN])) + (" …" if len(unknown) > _SHOWN else "")
            raise BadFileError(pair.mask, f"{len(unknown)} segments are not in the annotations: {shown}")
        table = np.array([known[int(value)] for value in ids], np.uint8)
        return table[places].reshape(size)


def _segments(path: Path, annotation: Any) -> list[Any]:
    """Return the segments of a panoptic annotation. Raises BadFileError."""
    with told_as(path, "its annotation"):
        return need(annotation, "segments_info", list)


def category_index(annotation: Any, classes: Mapping[int, int]) -> int:
    """Return the class index of an annotation or segment. Raises ShapeError."""
    category = need(annotation, "category_id", int)
    if category not in classes:
        raise ShapeError(f"the category id {category} is not in the file's list of categories")
    return classes[category]


def stored_box(annotation: Any) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom of an annotation's box; None where it has none that can be read.

    Raises ShapeError for a box of negative size.
    """
    match annotation.get("bbox"):
        case [int() | float() as x, int() | float() as y, int() | float() as width, int() | float() as height]:
            if width < 0 or height < 0:
                raise ShapeError(f"its box has a negative size, {width:g}×{height:g}")
            return x, y, x + width, y + height
    return None


def is_crowd(annotation: Any) -> bool:
    """Return whether an annotation is of many things at once, whose pixels are ignored. Raises ShapeError."""
    value = annotation.get("iscrowd", 0)
    if value not in (0, 1):  # so that "1" is no object
        raise ShapeError(f"'iscrowd' must be 0 or 1, got {value!r}")
    return bool(value)


def segmentation(annotation: Any, size: Size) -> Region:
    """Return the pixels of an annotation: what any of its polygons encloses, or its RLE. Raises ShapeError."""
    raw = annotation.get("segmentation")
    if isinstance(raw, list) and raw:
        return union([fill([flat_points(polygon)], *size) for polygon in raw])
    if isinstance(raw, dict):
        stored = need(raw, "size", list)
        if stored != [*size]:
            raise ShapeError(f"its RLE is of the size {stored} (height, width), the picture {[*size]}")
        counts = raw.get("counts")
        runs = unsqueeze(counts) if isinstance(counts, str) else counts
        if not isinstance(runs, list | np.ndarray):
            raise ShapeError("its RLE has no 'counts'")
        return place(decode(runs, *size, columns=True), 0, 0, *size)
    what = "has a box, but no mask" if "bbox" in annotation else "has no outline"
    raise ShapeError(f"{what}: 'segmentation' must hold polygons or an RLE")
