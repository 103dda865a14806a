"""The answer as a Markdown table: a row for each ordeal, a column for each subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ordeals.stage import Ordeal
from ordeals.words import clipped


def markdown(
    ordeals: Sequence[Ordeal], subjects: Sequence[str], results: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> str:
    """Return the table of `results[ordeal][subject]`; a dash where something was not run."""
    lines = [_row(["", *subjects]), _row(["---"] * (len(subjects) + 1))]
    for ordeal in ordeals:
        given = results.get(ordeal.name, {})
        cells = [_cell(ordeal, given[name]) if name in given else "–" for name in subjects]
        lines.append(_row([f"{ordeal.number}. {ordeal.title}", *cells]))
    return "\n".join(lines) + "\n"


def _cell(ordeal: Ordeal, figures: Mapping[str, Any]) -> str:
    if "problem" in figures:
        return clipped(str(figures["problem"]))
    return ordeal.cell(dict(figures))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
