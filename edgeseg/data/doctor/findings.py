"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


Number = float | int | str | list[str]


@dataclass(frozen=True)
class Check:
    """Something that is looked for."""

    severity: Severity
    meaning: str
    """What it means, in a sentence."""
    mend: str
    """What to do, in a sentence."""


@dataclass(frozen=True)
class Finding:
    """Something that was found."""

    check: str
    """Its name in `CHECKS`."""
    message: str
    """What was found, with its numbers, in a sentence."""
    split: str | None = None
    """None where it is about several."""
    files: tuple[str, ...] = ()
    pictures: tuple[int, ...] = ()
    """Positions of the pictures that show it best, in the collection."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Files that belong together, for duplicates."""
    numbers: Mapping[str, Number] = field(default_factory=dict)
