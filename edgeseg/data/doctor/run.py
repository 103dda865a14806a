"""Look at a whole data set and judge it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeseg.data.doctor import classes, copies, files, masks, objects, pairing, placement, values
from edgeseg.data.doctor.classes import ClassRow, class_rows, ignored_share
from edgeseg.data.doctor.findings import SEVERITIES, Finding, Severity
from edgeseg.data.doctor.look import look_at_all
from edgeseg.data.doctor.seen import Family, Seen
from edgeseg.data.doctor.table import CHECKS
from edgeseg.data.instances.collection import open_objects
from edgeseg.data.items import open_collection
from edgeseg_runtime.contract import Task
from edgeseg_runtime.progress import Progress, silent

FAMILIES: tuple[Family, ...] = (
    files.unusable,
    files.damaged,
    values.unknown,
    values.lossy,
    values.only_0_and_255,
    values.palettes,
    masks.noisy,
    placement.misplaced,
    placement.turned_by_exif,
    pairing.mispaired,
    masks.empty,
    classes.balance,
    copies.same,
    copies.alike,
    copies.clips,
    files.modes,
    files.sizes,
)
OBJECT_FAMILIES: tuple[Family, ...] = (
    files.unusable,
    files.damaged,
    objects.boxes,
    objects.odd,
    objects.none,
    classes.balance,
    copies.same,
    copies.alike,
    copies.clips,
    files.modes,
    files.sizes,
)


@dataclass(frozen=True)
class Diagnosis:
    """What is right and wrong with a data set."""

    seen: Seen
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then what is only worth knowing; in the order of CHECKS."""

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of a severity."""
        return tuple(finding for finding in self.findings if CHECKS[finding.check].severity == severity)

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Pictures and how many of them can be used, by split."""
        total = dict.fromkeys(self.seen.splits, 0)
        for look in self.seen.looks:
            total[look.item.split] += 1
        return {split: (count, len(self.seen.good[split])) for split, count in total.items()}

    @property
    def classes(self) -> list[ClassRow]:
        """Every class in every split."""
        return class_rows(self.seen)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        collection = self.seen.collection
        return {
            "data": collection.spec,
            "format": collection.title,
            "classes": [label.name for label in collection.labels],
            "splits": {
                split: {"pictures": total, "usable": good, "ignored_share": ignored_share(self.seen, split)}
                for split, (total, good) in self.counts.items()
            },
            "balance": [asdict(row) for row in self.classes],
            **{f"{severity}s" if severity != "info" else severity: len(self.of(severity)) for severity in SEVERITIES},
            "findings": [self._finding(finding) for finding in self.findings],
        }

    def _finding(self, finding: Finding) -> dict[str, Any]:
        check = CHECKS[finding.check]
        return {
            "check": finding.check,
            "severity": check.severity,
            "split": finding.split,
            "message": finding.message,
            "files": list(finding.files),
            "groups": [list(group) for group in finding.groups],
            "numbers": dict(finding.numbers),
            "meaning": check.meaning,
            "mend": check.mend,
        }


def diagnose(
    spec: str,
    *,
    format: str = "auto",
    task: Task = "semantic",
    splits: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress = silent,
) -> Diagnosis:
    """Read every picture of a data set, and its mask or its objects, once and run every check.

    Raises DatasetError when `spec` is no data set, or has no such split.
    """
    opened = open_objects if task == "instance" else open_collection
    collection = opened(spec, format=format, splits=splits)
    seen = Seen(collection, look_at_all(collection, workers or default_workers(), progress))
    return judge(seen, OBJECT_FAMILIES if task == "instance" else FAMILIES)


def judge(seen: Seen, families: Sequence[Family] = FAMILIES) -> Diagnosis:
    """Run every check of `families` on what was seen."""
    order = {name: place for place, name in enumerate(CHECKS)}
    found = [finding for family in families for finding in family(seen)]
    found.sort(key=lambda finding: (SEVERITIES.index(CHECKS[finding.check].severity), order[finding.check]))
    return Diagnosis(seen, tuple(found))


def default_workers() -> int:
    """Return how many pictures to look at at once: decoding releases the GIL."""
    return max(2, os.cpu_count() or 2)
