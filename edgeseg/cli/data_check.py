"""`edgeseg data check`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress, table
from edgeseg.cli.data_config import SourceConfig
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg.data.doctor.findings import Finding
    from edgeseg.data.doctor.run import Diagnosis

HAS_ERRORS = 1
SHOWN = 5
"""Findings of a check, and files, that are printed; the rest is counted."""


@Parameter(name="*")
@dataclass(frozen=True)
class CheckConfig:
    """What becomes of the answer."""

    out: Path | None = None
    """Also write a page with examples of every problem and every class: one .html file, readable offline."""
    workers: int | None = None
    """Pictures that are looked at at once; one for each processor core if not given."""
    json: bool = False
    """Print everything as JSON, every file included."""

    def __post_init__(self) -> None:
        if self.out is not None and self.out.suffix.lower() not in (".html", ".htm"):
            raise ConfigError(f"--out must end in .html, got {self.out}")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers must be 1 or more, got {self.workers}")


def check(*, source: SourceConfig, config: CheckConfig | None = None) -> int:
    """Look for what is wrong with labelled pictures.

    Reads every file of all splits (or of --split) once and tells of files that
    cannot be used, masks that do not mean what they seem to (wrong numbers, JPEGs,
    palettes, turned or moved), classes that are missing, and pictures that are
    there twice or nearly so, above all across splits. With --task instance it looks
    at objects: labelled twice, tiny, empty, or mere boxes.

    The exit code is 1 where there is an error, 0 where there are only warnings.

    For example:

      edgeseg data check --data camvid
      edgeseg data check --data camvid --out camvid.html
      edgeseg data check --data coco --split val --json > check.json
      edgeseg data check --data coco --task instance
    """
    from edgeseg.data.doctor.run import diagnose

    config = config or CheckConfig()
    started = time.monotonic()
    splits = [source.split] if source.split else []
    task = source.chosen_task()
    found = diagnose(
        source.data, format=source.format, task=task, splits=splits, workers=config.workers, progress=progress
    )
    if config.json:
        answer_json(found.as_dict())
    else:
        show(found)
    note(f"{len(found.seen.looks)} pictures in {time.monotonic() - started:.1f} s")
    if config.out is not None:
        write(config.out, found, source)
    return HAS_ERRORS if found.of("error") else 0


def write(path: Path, found: Diagnosis, source: SourceConfig) -> None:
    """Write the page."""
    from edgeseg import __version__
    from edgeseg.data.doctor.page import write_page

    command = f"edgeseg data check --data {source.data}" + (f" --split {source.split}" if source.split else "")
    command += f" --task {source.task}" if source.task else ""
    facts = {"made by": f"edgeseg {__version__}", "command": command, "recognised as": found.seen.collection.title}
    write_page(path, found, facts, progress)
    note(f"{path}: the same with examples")


def show(found: Diagnosis) -> None:
    """Print the classes, then the findings, the gravest last: nearest to the prompt."""
    from edgeseg.data.doctor.findings import SEVERITIES

    _show_classes(found)
    for severity in reversed(SEVERITIES):
        by_check: dict[str, list[Finding]] = {}
        for finding in found.of(severity):
            by_check.setdefault(finding.check, []).append(finding)
        for name, findings in by_check.items():
            _show_check(name, findings, found.seen.collection.spec)
    errors, warnings, remarks = (len(found.of(severity)) for severity in SEVERITIES)
    print(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}, {_count(remarks, 'remark')}")


def _show_classes(found: Diagnosis) -> None:
    splits = found.seen.splits
    counts = ", ".join(
        f"{split} {total}" + (f" ({total - good} bad)" if good < total else "")
        for split, (total, good) in found.counts.items()
    )
    rows_of = {(row.name, row.split): row for row in found.classes}
    rows = [
        [
            label.name,
            *(
                text
                for split in splits
                for row in [rows_of[label.name, split]]
                for text in (f"{100 * row.share:.2f}", f"{row.pictures}")
            ),
        ]
        for label in found.seen.labels
    ]
    headers = ["class", *(text for split in splits for text in (f"{split}, % of pixels", "pictures"))]
    table(f"{found.seen.collection.title}: {counts}", headers, rows)


def _show_check(name: str, findings: list[Finding], root: str) -> None:
    from edgeseg.data.doctor.table import CHECKS

    check = CHECKS[name]
    print(f"{check.severity}: {name}")
    for finding in findings[:SHOWN]:
        split = f"{finding.split}: " if finding.split else ""
        lone = f"{_short(finding.files[0], root)}: " if len(finding.files) == 1 else ""
        print(f"  {lone or split}{finding.message}")
        _show_files(finding, root)
    if len(findings) > SHOWN:
        print(f"  … and {len(findings) - SHOWN} more (--json names all)")
    print(f"  {check.meaning} {check.mend}\n")


def _show_files(finding: Finding, root: str) -> None:
    groups = finding.groups or ([(path,) for path in finding.files] if len(finding.files) > 1 else [])
    lines = [" = ".join(_short(path, root) for path in group[:SHOWN]) for group in groups]
    for line, group in zip(lines[:SHOWN], groups, strict=False):
        print(f"    {line}{' = …' if len(group) > SHOWN else ''}")
    if len(lines) > SHOWN:
        print(f"    … and {len(lines) - SHOWN} more (--json names all)")


def _short(path: str, root: str) -> str:
    """Return a path below the data's folder without that folder."""
    return path.removeprefix(f"{Path(root)}/")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
