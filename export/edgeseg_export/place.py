"""Where an export may be written: it replaces a whole folder, which must not be somebody's work."""

from __future__ import annotations

import json
from pathlib import Path

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.segmenter import REJECTED

SENSITIVITY = "sensitivity"
"""Folder in a run, where what was found out about the layers is kept for another time."""
MANIFEST, PARITY, REPORT = "manifest.json", "parity.json", "report.html"
BENCHED = ("bench.json", "bench.png")
"""What `edgeseg bench` leaves beside the files."""


def check_place(out: Path) -> None:
    """Raise OutputError unless `out` is free, an empty folder, or an export and nothing else."""
    if not (out.exists() or out.is_symlink()):
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file; choose another --out")
    reason = None
    if Path.cwd().is_relative_to(out.resolve()):
        reason = "it is the folder you are in or one around it"
    elif others := sorted({path.name for path in out.iterdir()} - _of_an_export(out)):
        reason = f"{others[0]} in it is no part of an export"
    if reason is not None:
        raise OutputError(f"{out} would be replaced, and {reason}; choose another --out")


def _of_an_export(folder: Path) -> set[str]:
    """Return the names that an export's manifest accounts for; none where there is no readable one."""
    try:
        artifacts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["artifacts"]
        files = {Path(file).parts[0] for item in artifacts for file in item["files"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return set()
    return {MANIFEST, PARITY, REPORT, REJECTED, *BENCHED, *files}
