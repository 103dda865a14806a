"""What a split of objects holds, counted: the simplest proof that it was read as it was meant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.data.base import BadFileError
from edgeseg.data.check import in_path_order
from edgeseg.data.files import Problem, Size
from edgeseg.data.instances.base import InstanceData
from edgeseg.data.items import in_threads
from edgeseg_runtime.progress import Progress, silent

SIZES = ("small", "medium", "large")
BOUNDS = (32**2, 96**2)
"""Pixels from which on an object is medium, and large: COCO's, in pixels of the picture as stored."""
_WORKERS = 4  # reading and decoding release the GIL


@dataclass(frozen=True)
class ObjectStats:
    """Counts over the pictures that can be read. Crowds are counted apart."""

    sizes: dict[Size, int]
    """Pictures by height and width, the most frequent first."""
    objects: npt.NDArray[np.int64]
    """(classes, 3): objects of each class, by SIZES."""
    present: tuple[int, ...]
    """Pictures that each class is in."""
    in_a_picture: tuple[int, ...]
    """Objects of each picture, rising."""
    crowds: int
    problems: tuple[Problem, ...]
    """Files that cannot be read, and why."""

    @property
    def pictures(self) -> int:
        """Pictures that could be read."""
        return len(self.in_a_picture)

    def as_dict(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return plain values for JSON."""
        counts = zip(names, self.objects.tolist(), self.present, strict=True)
        return {
            "pictures": self.pictures,
            "sizes": [{"width": w, "height": h, "pictures": count} for (h, w), count in self.sizes.items()],
            "objects": int(self.objects.sum()),
            "crowds": self.crowds,
            "objects_in_a_picture": dict(Counter(self.in_a_picture)),
            "classes": [
                {"name": name, "objects": sum(sizes), **dict(zip(SIZES, sizes, strict=True)), "pictures": seen}
                for name, sizes, seen in counts
            ],
            "bad_files": [{"path": str(problem.path), "reason": problem.reason} for problem in self.problems],
        }


@dataclass(frozen=True)
class _Look:
    size: Size
    objects: npt.NDArray[np.int64]
    crowds: int


def count(data: InstanceData, unpaired: tuple[Problem, ...] = (), progress: Progress = silent) -> ObjectStats:
    """Read every picture of `data` once and count; `unpaired` are files already known to lack a partner."""
    problems, sizes, crowds = list(unpaired), Counter[Size](), 0
    objects = np.zeros((len(data.labels), len(SIZES)), np.int64)
    present = np.zeros(len(data.labels), np.int64)
    in_a_picture = []
    for found in in_threads(partial(_look, data), range(len(data)), _WORKERS, progress, "counting objects", len(data)):
        if isinstance(found, Problem):
            problems.append(found)
            continue
        sizes[found.size] += 1
        objects += found.objects
        present += found.objects.any(axis=1)
        crowds += found.crowds
        in_a_picture.append(int(found.objects.sum()))
    return ObjectStats(
        dict(sizes.most_common()),
        objects,
        tuple(present.tolist()),
        tuple(sorted(in_a_picture)),
        crowds,
        in_path_order(problems),
    )


def _look(data: InstanceData, index: int) -> _Look | Problem:
    try:
        sample = data.read(index)
    except BadFileError as error:
        return Problem(error.path, error.reason)
    objects = np.zeros((len(data.labels), len(SIZES)), np.int64)
    for each in sample.instances:
        if not each.crowd:
            objects[each.label, size_of(each.region.area)] += 1
    return _Look((sample.image.shape[0], sample.image.shape[1]), objects, sum(each.crowd for each in sample.instances))


def size_of(area: int) -> int:
    """Return which of SIZES an object of so many pixels has."""
    return sum(area >= bound for bound in BOUNDS)
