"""Look at every file of a data set before work begins, and tell of all that is wrong at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from edgeseg.data.base import BadFileError
from edgeseg.data.files import Pair, PictureSet, Problem, read_pair
from edgeseg_runtime.progress import Progress, silent

SHOWN = 50
"""Bad files that a report prints; the rest is counted."""
_WORKERS = 4  # reading and decoding release the GIL


@dataclass(frozen=True)
class Report:
    """What a look at every file found."""

    checked: int
    """Pairs of picture and mask that were read."""
    problems: tuple[Problem, ...]
    bad_pairs: tuple[Pair, ...]
    """Pairs that cannot be used because of them."""
    absent: tuple[str, ...]
    """Classes without a pixel in any good mask: a wrong class table, often."""

    @property
    def ok(self) -> bool:
        """Whether every file can be used."""
        return not self.problems

    def text(self) -> str:
        """List every bad file and its reason, one a line."""
        return listing(self.problems)


def listing(problems: Sequence[Problem]) -> str:
    """List bad files and their reasons, one a line, as many as one reads; the rest is counted."""
    lines = [f"{problem.path}: {problem.reason}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"… and {len(problems) - SHOWN} more")
    return "\n".join(f"  {line}" for line in lines)


def check(data: PictureSet, unpaired: tuple[Problem, ...] = (), progress: Progress = silent) -> Report:
    """Read every picture and mask of `data`; `unpaired` are files already known to lack a partner."""
    problems, bad = list(unpaired), []
    pixels = np.zeros(256, np.int64)
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = pool.map(partial(_look, data), data.pairs)
        for pair, result in zip(data.pairs, progress(found, "checking files", len(data)), strict=True):
            if isinstance(result, Problem):
                problems.append(result)
                bad.append(pair)
            else:
                pixels += result
    absent = tuple(label.name for label, count in zip(data.labels, pixels, strict=False) if not count)
    return Report(len(data), tuple(sorted(problems, key=lambda problem: str(problem.path))), tuple(bad), absent)


def _look(data: PictureSet, pair: Pair) -> Problem | npt.NDArray[np.int64]:
    """Return the pair's pixels per label, or what is wrong with it."""
    try:
        sample = read_pair(pair, data.read_truth)
    except BadFileError as error:
        return Problem(error.path, error.reason)
    return np.bincount(sample.mask.ravel(), minlength=256)
