"""Divide a data set anew: every class in every split, and what belongs together in one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeseg.data.base import BadFileError
from edgeseg.data.division import Division, Shares
from edgeseg.data.files import Problem
from edgeseg.data.grouping import group_pictures
from edgeseg.data.items import Collection, Item, in_threads
from edgeseg.data.likeness import Fingerprint, fingerprint
from edgeseg.data.stratify import stratify
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class _Measured:
    pixels: npt.NDArray[np.int64]
    print: Fingerprint


def divide(
    collection: Collection,
    shares: Shares,
    *,
    by: str = "auto",
    seed: int = 0,
    skip_bad: bool = False,
    workers: int = 4,
    progress: Progress = silent,
) -> Division:
    """Read every picture and choose a split for each: groups (see `grouping`) whole, classes spread by their pixels.

    Raises DatasetError, unless `skip_bad`, for files that cannot be used, and when there are fewer groups than splits;
    ConfigError for a `by` that is no way to group.
    """
    count = len(collection.items)
    work = in_threads(_measure, collection.items, workers, progress, "reading pictures", count)
    measured = list(work)
    problems = [problem for found in collection.problems.values() for problem in found]
    problems += [found for found in measured if isinstance(found, Problem)]
    if problems and not skip_bad:
        raise DatasetError(
            f"{collection.spec}: {len(problems)} bad file{'s' if len(problems) > 1 else ''}"
            " (--skip-bad goes on without, edgeseg data check names all)"
            f"\n  {problems[0].path}: {problems[0].reason}"
        )
    prints = {k: found.print for k, found in enumerate(measured) if isinstance(found, _Measured)}
    pixels = np.zeros((count, len(collection.labels)), np.int64)
    for position, found in enumerate(measured):
        if isinstance(found, _Measured):
            pixels[position] = found.pixels[: len(collection.labels)]
    groups = group_pictures(collection.items, prints, by)
    wished = shares.by_split
    if len(groups) < len(wished):
        held = f"{len(groups)} group{'' if len(groups) == 1 else 's'}"
        raise DatasetError(
            f"{collection.spec}: {len(prints)} pictures make {held}, too few for {len(wished)} splits;"
            " another --group-by (scene, folder, none) makes smaller ones"
        )
    amounts = np.array([pixels[group].sum(0) for group in groups], np.float64)
    parts = stratify(amounts, [len(group) for group in groups], list(wished.values()), seed)
    assignment: list[str | None] = [None] * count
    for group, part in zip(groups, parts, strict=True):
        for position in group:
            assignment[position] = list(wished)[part]
    frozen = tuple(tuple(group) for group in groups)
    return Division(collection, shares, tuple(assignment), frozen, pixels, tuple(problems), by, seed)


def _measure(item: Item) -> _Measured | Problem:
    try:
        sample = item.read()
    except BadFileError as error:
        return Problem(error.path, error.reason)
    return _Measured(np.bincount(sample.mask.ravel(), minlength=256), fingerprint(sample.image))
