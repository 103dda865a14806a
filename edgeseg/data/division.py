"""A data set divided: the wished shares, the outcome, and its record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.data.files import Problem
from edgeseg.data.folder import FLAT
from edgeseg.data.items import Collection
from edgeseg.data.split_names import split_folders
from edgeseg_runtime.errors import ConfigError, DatasetError, OutputError
from edgeseg_runtime.files import write_text

RECORD = "split.json"


@dataclass(frozen=True)
class Shares:
    """How much of the pictures each split shall have; train has the rest."""

    val: float
    test: float = 0.0

    def __post_init__(self) -> None:
        for flag, value in (("val", self.val), ("test", self.test)):
            if not 0 <= value < 1:
                raise ConfigError(f"--{flag} must be a share from 0 to less than 1, got {value}")
        if not 0 < self.val + self.test < 1:
            raise ConfigError(
                f"--val and --test together must leave pictures for each split, got {self.val, self.test}"
            )

    @property
    def by_split(self) -> dict[str, float]:
        """Shares by the name of the split, without those that get nothing."""
        shares = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        return {split: share for split, share in shares.items() if share > 0}


@dataclass(frozen=True, eq=False)
class Division:
    """Which picture goes where."""

    collection: Collection
    shares: Shares
    assignment: tuple[str | None, ...]
    """The split of each item; None for those that cannot be used."""
    groups: tuple[tuple[int, ...], ...]
    pixels: npt.NDArray[np.int64]
    """Items × classes."""
    problems: tuple[Problem, ...]
    by: str
    seed: int

    @property
    def pictures(self) -> dict[str, int]:
        """Pictures by split."""
        return {split: self.assignment.count(split) for split in self.shares.by_split}

    def class_pixels(self, split: str) -> npt.NDArray[np.int64]:
        """Return a split's pixels by class."""
        chosen = np.array([each == split for each in self.assignment], np.bool_)
        total: npt.NDArray[np.int64] = self.pixels[chosen].sum(0)
        return total

    def record(self) -> dict[str, Any]:
        """Return what is needed to understand and to repeat the division, as plain values."""
        total = np.maximum(self.pixels.sum(0), 1)
        return {
            "data": self.collection.spec,
            "format": self.collection.title,
            "group_by": self.by,
            "seed": self.seed,
            "wished": self.shares.by_split,
            "groups": len(self.groups),
            "largest_group": max(len(group) for group in self.groups),
            "pictures": self.pictures,
            "class_shares": {
                split: {
                    label.name: round(float(share), 6)
                    for label, share in zip(self.collection.labels, self.class_pixels(split) / total, strict=True)
                }
                for split in self.shares.by_split
            },
            "left_out": [{"path": str(problem.path), "reason": problem.reason} for problem in self.problems],
        }


def write_lists(division: Division, out: Path) -> None:
    """Write SPLIT.txt files of names into `out`, as the folder reader takes them beside images/ and masks/.

    Raises OutputError when one is there already or its folders are divided, where nobody would read it, and
    DatasetError when names are not enough to find the pictures.
    """
    if split_folders(out) or any(split_folders(folder) for folder in out.glob("*/")):
        raise OutputError(
            f"{out} is divided into folders already, and lists beside them are not read; use --write link or copy"
        )
    names = [item.name for item in division.collection.items]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(
            f"the name {twice} is there twice, a list cannot say which is meant: use --write link or copy"
        )
    if spaced := next((name for name in names if " " in name), None):
        raise DatasetError(f"{spaced!r} has a space, which ends a name in a list: use --write link or copy")
    if division.collection.title != FLAT:
        raise DatasetError(
            f"lists of names are read beside images/ and masks/ alone, and this is {division.collection.title}: "
            "use --write link or copy"
        )
    texts = {f"{split}.txt": _lines(division, split, names) for split in division.shares.by_split}
    for name in (*texts, RECORD):
        if (out / name).exists():
            raise OutputError(f"{out / name} is there already; remove it, or name another --out")
    for name, text in texts.items():
        write_text(out / name, text)
    write_text(out / RECORD, record_text(division))


def record_text(division: Division) -> str:
    """Return the record as JSON."""
    return json.dumps(division.record(), indent=2, ensure_ascii=False) + "\n"


def _lines(division: Division, split: str, names: Sequence[str]) -> str:
    chosen = (name for name, its in zip(names, division.assignment, strict=True) if its == split)
    return "".join(f"{name}\n" for name in chosen)
