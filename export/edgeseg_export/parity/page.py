"""One self-contained page, whatever was compared: what both kinds of reports have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.html import badge
from edgeseg_export.parity.verdict import Verdict
from edgeseg_runtime.files import write_text


@dataclass(frozen=True)
class Page:
    """The parts of a page, each as HTML."""

    lead: str
    summary: str
    """A table of artifacts × numbers."""
    explanation: str
    """What the numbers are."""
    classes: str
    legend: str
    """Items: the colours of the classes."""
    differences: str
    """Items: the colours of what differs."""
    artifacts: str
    """A section for each artifact."""


def write_page(path: Path, title: str, page: Page, facts: Mapping[str, str]) -> None:
    """Write one HTML file with everything inside it; `facts` are shown as they are given."""
    template = Template(files("edgeseg_export.parity").joinpath("report.html").read_text("utf-8"))
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    write_text(path, template.substitute(title=escape(title), facts=listed, **asdict(page)))


def lead(compared: str, pictures: int, entries: Sequence[Entry[Any]]) -> str:
    """Say what was compared on how many pictures, and every file that was refused with its numbers."""
    start = f"{compared} on {pictures} pictures"
    refused = [entry for entry in entries if not entry.verdict.passed]
    if not refused:
        return f"<p>{start}: all passed.</p>"
    lines = (f"{entry.name}: {line}" for entry in refused for line in entry.verdict.failure_lines())
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<p>{start}: <strong>{len(refused)} refused.</strong></p><ul>{items}</ul>"


def section(name: str, verdict: Verdict, rows: str) -> str:
    """Return what is said of one artifact, and its pictures."""
    lines = [*(f"refused: {finding}" for finding in verdict.failures), *(f"warning: {it}" for it in verdict.warnings)]
    items = "".join(f"<li>{escape(line)}</li>" for line in [*lines, *verdict.notes])
    return f"<h3>{escape(name)} {badge(verdict)}</h3><ul>{items}</ul>{rows}"


def row(name: str, numbers: str, tiles: Sequence[tuple[str, str]]) -> str:
    """Return one picture side by side: (what it is, data URI) of each tile."""
    figures = "".join(
        f'<figure><img src="{uri}" alt="{kind} of {escape(name)}"><figcaption>{kind}</figcaption></figure>'
        for kind, uri in tiles
    )
    return f'<div class="row"><p><strong>{escape(name)}</strong> {numbers}</p><div class="tiles">{figures}</div></div>'
