"""The report's tables: one row an artifact, one row a class, every judged cell in the colour of its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from edgeseg_export.parity.comparison import AccuracyPair, Comparison
from edgeseg_export.parity.verdict import Verdict
from edgeseg_runtime.contract import Contract

SUMMARY_HEADER = (
    "artifact",
    "verdict",
    "same pixels",
    "worst picture",
    "near edges",
    "IoU of the masks",
    "mIoU against truth",
    "drop, points",
    "worst class drop",
    "boundary F drop",
)


@dataclass(frozen=True)
class Entry:
    """An artifact that was judged."""

    name: str
    """What a person calls it, for example `onnx-int8`."""
    comparison: Comparison
    verdict: Verdict


def summary_table(entries: Sequence[Entry]) -> str:
    """Return the table of artifacts × numbers as HTML."""
    return _table(SUMMARY_HEADER, [_summary_row(entry) for entry in entries])


def class_table(entries: Sequence[Entry], contract: Contract) -> str:
    """Return the table of classes × artifacts as HTML, or a sentence where there was no truth."""
    pairs = [(entry, entry.comparison.accuracy) for entry in entries]
    scored = [(entry, pair) for entry, pair in pairs if pair is not None]
    if not scored:
        return "<p>The pictures came without truth.</p>"
    original = scored[0][1].original
    iou, pixels = original.iou(), original.truth.sum(0)
    rows = []
    for index, label in enumerate(contract.labels):
        cells = [f"<td>{swatch(label.color)}{escape(label.name)}</td>", _cell(f"{pixels[index]:,}")]
        cells.append(_cell(_percent(float(iou[index]), 2)))
        cells += [_class_cell(entry, pair, index) for entry, pair in scored]
        rows.append("".join(cells))
    header = ["class", "true pixels", "original's IoU", *(f"{entry.name} IoU, drop" for entry, _ in scored)]
    return f'<div class="scroll">{_table(header, rows)}</div>'


def badge(verdict: Verdict) -> str:
    """Return pass, warn or fail as a coloured word."""
    return f'<span class="badge {verdict.level}">{verdict.level}</span>'


def swatch(color: Sequence[int]) -> str:
    """Return a small square of an (R, G, B) colour."""
    red, green, blue = color
    return f'<span class="swatch" style="background:rgb({red},{green},{blue})"></span>'


def _summary_row(entry: Entry) -> str:
    comparison, verdict = entry.comparison, entry.verdict
    pair = comparison.accuracy
    cells = [
        f"<td>{escape(entry.name)}</td>",
        _cell(badge(verdict)),
        _cell(_percent(comparison.mean_agreement, 3), _level(verdict, "min_agreement")),
        _cell(_percent(float(comparison.agreement.min()), 3), _level(verdict, "min_worst_agreement")),
        _cell(_percent(comparison.edge_agreement, 3), _level(verdict, "min_edge_agreement")),
        _cell(_percent(comparison.between_masks.mean_iou, 2)),
    ]
    if pair is None:
        return "".join(cells) + _cell("–") * 4
    return "".join(cells) + _accuracy_cells(pair, verdict)


def _accuracy_cells(pair: AccuracyPair, verdict: Verdict) -> str:
    bounds = pair.miou_drop_interval()
    within = "" if bounds is None else f" <small>[{points(bounds[0])}, {points(bounds[1])}]</small>"
    judged = np.where(pair.judged, pair.class_drops, np.nan)
    worst = "–" if np.isnan(judged).all() else points(float(np.nanmax(judged)))
    return "".join(
        [
            _cell(f"{_percent(pair.mean_iou[0], 2)} → {_percent(pair.mean_iou[1], 2)}"),
            _cell(points(pair.miou_drop) + within, _level(verdict, "max_miou_drop")),
            _cell(worst, _level(verdict, "max_class_drop")),
            _cell(points(pair.boundary_drop), _level(verdict, "max_boundary_drop")),
        ]
    )


def _class_cell(entry: Entry, pair: AccuracyPair, index: int) -> str:
    iou, drop = float(pair.artifact.iou()[index]), float(pair.class_drops[index])
    if np.isnan(drop):
        return _cell("–")
    text = f"{_percent(iou, 2)} <small>{points(drop)}</small>"
    if not pair.judged[index]:
        return _cell(f"{text} <small>no verdict</small>")
    return _cell(text, _level(entry.verdict, "max_class_drop", entry.comparison.labels[index]))


def _level(verdict: Verdict, limit: str, where: str | None = None) -> str:
    """Return the worst level of the findings about a limit, at a place if one is named."""
    levels = {
        finding.level
        for finding in verdict.findings
        if finding.limit == limit and (where is None or finding.where == where)
    }
    return next((level for level in ("fail", "warn", "pass") if level in levels), "")


def _table(header: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in header)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def _cell(content: str, level: str = "") -> str:
    return f'<td class="{level}">{content}</td>' if level else f"<td>{content}</td>"


def _percent(share: float, digits: int) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def points(value: float) -> str:
    """Write a drop with its sign; what rounds to nothing has none to show but a plus."""
    return "–" if np.isnan(value) else f"{round(value, 2) + 0.0:+.2f}"
