"""What a split holds, counted: the simplest proof that it was read as it was meant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.data.base import IGNORE, BadFileError, SegmentationData
from edgeseg.data.files import Problem, Size
from edgeseg.data.items import in_threads
from edgeseg_runtime.progress import Progress, silent

_WORKERS = 4  # reading and decoding release the GIL


@dataclass(frozen=True)
class SplitStats:
    """Counts over the pictures that can be read."""

    pictures: int
    sizes: dict[Size, int]
    """Pictures by height and width, the most frequent first."""
    pixels: tuple[int, ...]
    """Of each class."""
    present: tuple[int, ...]
    """Pictures that each class is in."""
    ignored: int
    """Pixels without a class."""
    problems: tuple[Problem, ...]
    """Files that cannot be read, and why."""

    def as_dict(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return plain values for JSON."""
        counts = zip(names, self.pixels, self.present, strict=True)
        return {
            "pictures": self.pictures,
            "sizes": [{"width": w, "height": h, "pictures": count} for (h, w), count in self.sizes.items()],
            "ignored_pixels": self.ignored,
            "classes": [{"name": name, "pixels": pixels, "pictures": seen} for name, pixels, seen in counts],
            "bad_files": [{"path": str(problem.path), "reason": problem.reason} for problem in self.problems],
        }


def count(data: SegmentationData, unpaired: tuple[Problem, ...] = (), progress: Progress = silent) -> SplitStats:
    """Read every picture of `data` once and count; `unpaired` are files already known to lack a partner."""
    problems, sizes = list(unpaired), Counter[Size]()
    pixels, present = np.zeros(256, np.int64), np.zeros(256, np.int64)
    look, everything = partial(_look, data), range(len(data))
    for result in in_threads(look, everything, _WORKERS, progress, "counting pixels", len(data)):
        if isinstance(result, Problem):
            problems.append(result)
            continue
        size, histogram = result
        sizes[size] += 1
        pixels += histogram
        present += histogram > 0
    classes = len(data.labels)
    return SplitStats(
        sizes.total(),
        dict(sizes.most_common()),
        tuple(pixels[:classes].tolist()),
        tuple(present[:classes].tolist()),
        int(pixels[IGNORE]),
        tuple(sorted(problems, key=lambda problem: str(problem.path))),
    )


def _look(data: SegmentationData, index: int) -> Problem | tuple[Size, npt.NDArray[np.int64]]:
    try:
        mask = data.read(index).mask
    except BadFileError as error:
        return Problem(error.path, error.reason)
    return (mask.shape[0], mask.shape[1]), np.bincount(mask.ravel(), minlength=256)
