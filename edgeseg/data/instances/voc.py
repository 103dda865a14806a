"""Pascal VOC's objects: their numbers in SegmentationObject/, their classes in SegmentationClass/.

An object's class is that of most of its pixels. The borders around objects, 255 in both, belong to none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.data import voc
from edgeseg.data.base import IGNORE, BadFileError
from edgeseg.data.files import MaskFiles, Pair, Pairing, Problem, Size, check_size
from edgeseg.data.instances.base import Instance
from edgeseg.data.instances.files import ObjectLayout
from edgeseg.data.instances.regions import numbered
from edgeseg.data.instances.truth import Objects, gathered
from edgeseg.data.masks import MaskReader
from edgeseg.data.pictures import read_stored
from edgeseg_runtime.preprocess import Mask

LOOKED_FOR = "Pascal VOC: as for classes, and SegmentationObject/ beside SegmentationClass/"
OBJECTS = "SegmentationObject"
_BACKGROUND = 0


@dataclass(frozen=True)
class VocObjects:
    """Reads the objects of a picture from two masks."""

    classes: MaskFiles

    def __call__(self, pair: Pair, size: Size) -> Objects:
        """Read the objects. Raises BadFileError, naming the object."""
        path = objects_path(pair.mask)
        return gathered(self._objects(path, read_numbers(path, size), self.classes(pair, size)))

    def _objects(self, path: Path, numbers: npt.NDArray[np.unsignedinteger[Any]], classes: Mask) -> Iterator[Instance]:
        for number, region in numbered(np.where(numbers == IGNORE, 0, numbers)):
            counts = np.bincount(classes[region.window][region.inside], minlength=256)
            counts[[_BACKGROUND, IGNORE]] = 0
            if not counts.any():
                raise BadFileError(path, f"object {number} has no pixel of a class in SegmentationClass")
            yield Instance(int(counts.argmax()) - 1, region)


def recognise(root: Path) -> ObjectLayout | None:
    """Return the layout if `root` holds VOC with objects, else None."""
    layout = voc.recognise(root)
    if layout is None or not any(
        objects_path(pair.mask).parent.is_dir() for pairing in layout.splits.values() for pair in pairing.pairs[:1]
    ):
        return None
    splits = {split: _with_objects(pairing) for split, pairing in layout.splits.items()}
    objects = VocObjects(MaskFiles(MaskReader(voc.NUMBERS)))
    return ObjectLayout(f"{layout.title} objects", voc.LABELS[1:], objects, splits, layout.closed)


def objects_path(classes: Path) -> Path:
    """Return where the numbers of the objects are, for a file of their classes."""
    return classes.parent.parent / OBJECTS / classes.name


def read_numbers(path: Path, size: Size) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return a mask of object numbers as stored. Raises BadFileError for colours and for another size."""
    values = read_stored(path).values
    if values.ndim != 2:
        raise BadFileError(path, "holds colours, where the objects' numbers are expected")
    check_size(path, (values.shape[0], values.shape[1]), size)
    return values


def _with_objects(pairing: Pairing) -> Pairing:
    missing = dict.fromkeys(pair for pair in pairing.pairs if not objects_path(pair.mask).is_file())
    problems = [Problem(pair.image, f"has no mask in {objects_path(pair.mask).parent}") for pair in missing]
    pairs = tuple(pair for pair in pairing.pairs if pair not in missing)
    return Pairing(pairs, (*pairing.problems, *problems))
