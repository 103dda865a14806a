"""Small pieces of the report's page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from edgeseg_export.parity.verdict import Verdict


def badge(verdict: Verdict) -> str:
    """Return pass, warn or fail as a coloured word."""
    return f'<span class="badge {verdict.level}">{verdict.level}</span>'


def swatch(color: Sequence[int]) -> str:
    """Return a small square of an (R, G, B) colour."""
    red, green, blue = color
    return f'<span class="swatch" style="background:rgb({red},{green},{blue})"></span>'


def level_of(verdict: Verdict, limit: str, where: str | None = None) -> str:
    """Return the worst level of the findings about a limit, at a place if one is named."""
    levels = {
        finding.level
        for finding in verdict.findings
        if finding.limit == limit and (where is None or finding.where == where)
    }
    return next((level for level in ("fail", "warn", "pass") if level in levels), "")


def html_table(header: Sequence[str], rows: Sequence[str]) -> str:
    """Return a table; the rows are cells already."""
    head = "".join(f"<th>{escape(title)}</th>" for title in header)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def cell(content: str, level: str = "") -> str:
    """Return a cell, in the colour of a level if one is given."""
    return f'<td class="{level}">{content}</td>' if level else f"<td>{content}</td>"


def percent(share: float, digits: int) -> str:
    """Write a share in %; a dash for NaN."""
    return "–" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def points(value: float) -> str:
    """Write a drop with its sign; what rounds to nothing has none to show but a plus."""
    return "–" if np.isnan(value) else f"{round(value, 2) + 0.0:+.2f}"
