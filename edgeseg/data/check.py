"""Look at every file of a data set before work begins, and tell of all that is wrong at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from edgeseg.data.base import BadFileError
from edgeseg.data.files import FileSetT, Pair, PictureSet, Problem, read_pair
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.progress import Progress, silent

T = TypeVar("T")

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


class Look(Protocol):
    """What a look at every file found, whatever their truth is."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, in the order of the files' paths."""
        ...

    @property
    def bad_pairs(self) -> tuple[Pair, ...]:
        """Pairs that cannot be used because of it."""
        ...


def usable(data: FileSetT, look: Look, spec: str, split: str, *, skip_bad: bool) -> FileSetT:
    """Return the set without its bad pairs.

    Raises DatasetError with one report of all bad files, unless `skip_bad`, and where no pair is left.
    """
    if look.problems and not skip_bad:
        raise bad_files(spec, split, look.problems)
    good = data.without(look.bad_pairs)
    if not good.pairs:
        raise DatasetError(f"{spec}, split {split}: no file can be used\n{listing(look.problems)}")
    return good


def bad_files(spec: str, split: str, problems: Sequence[Problem]) -> DatasetError:
    """Return the error that tells of all bad files of a split."""
    count = f"{len(problems)} bad file{'s' if len(problems) > 1 else ''}"
    return DatasetError(f"{spec}, split {split}: {count} (--skip-bad goes on without)\n{listing(problems)}")


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
    for pair, result in read_each(data.pairs, partial(_pixels, data), progress):
        if isinstance(result, Problem):
            problems.append(result)
            bad.append(pair)
        else:
            pixels += result
    absent = tuple(label.name for label, count in zip(data.labels, pixels, strict=False) if not count)
    return Report(len(data), in_path_order(problems), tuple(bad), absent)


def _pixels(data: PictureSet, pair: Pair) -> npt.NDArray[np.int64]:
    """Return the pair's pixels per label."""
    return np.bincount(read_pair(pair, data.read_truth).mask.ravel(), minlength=256)


def read_each(
    pairs: Sequence[Pair], read: Callable[[Pair], T], progress: Progress
) -> Iterator[tuple[Pair, T | Problem]]:
    """Yield each pair with what `read` makes of it, or what is wrong with it, in the pairs' order, several at once."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = pool.map(partial(_or_problem, read), pairs)
        yield from zip(pairs, progress(found, "checking files", len(pairs)), strict=True)


def in_path_order(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Return problems in the order of their files' paths."""
    return tuple(sorted(problems, key=lambda problem: str(problem.path)))


def _or_problem(read: Callable[[Pair], T], pair: Pair) -> T | Problem:
    try:
        return read(pair)
    except BadFileError as error:
        return Problem(error.path, error.reason)
