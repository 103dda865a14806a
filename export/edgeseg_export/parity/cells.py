"""The report's tables: one row an artifact, one row a class, every judged cell in the colour of its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from edgeseg_export.parity.comparison import AccuracyPair, Comparison
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.html import badge, cell, html_table, level_of, percent, points, swatch
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


def summary_table(entries: Sequence[Entry[Comparison]]) -> str:
    """Return the table of artifacts × numbers as HTML."""
    return html_table(SUMMARY_HEADER, [_summary_row(entry) for entry in entries])


def class_table(entries: Sequence[Entry[Comparison]], contract: Contract) -> str:
    """Return the table of classes × artifacts as HTML, or a sentence where there was no truth."""
    pairs = [(entry, entry.comparison.accuracy) for entry in entries]
    scored = [(entry, pair) for entry, pair in pairs if pair is not None]
    if not scored:
        return "<p>The pictures came without truth.</p>"
    original = scored[0][1].original
    iou, pixels = original.iou(), original.truth.sum(0)
    rows = []
    for index, label in enumerate(contract.labels):
        cells = [f"<td>{swatch(label.color)}{escape(label.name)}</td>", cell(f"{pixels[index]:,}")]
        cells.append(cell(percent(float(iou[index]), 2)))
        cells += [_class_cell(entry, pair, index) for entry, pair in scored]
        rows.append("".join(cells))
    header = ["class", "true pixels", "original's IoU", *(f"{entry.name} IoU, drop" for entry, _ in scored)]
    return f'<div class="scroll">{html_table(header, rows)}</div>'


def _summary_row(entry: Entry[Comparison]) -> str:
    comparison, verdict = entry.comparison, entry.verdict
    pair = comparison.accuracy
    cells = [
        f"<td>{escape(entry.name)}</td>",
        cell(badge(verdict)),
        cell(percent(comparison.mean_agreement, 3), level_of(verdict, "min_agreement")),
        cell(percent(float(comparison.agreement.min()), 3), level_of(verdict, "min_worst_agreement")),
        cell(percent(comparison.edge_agreement, 3), level_of(verdict, "min_edge_agreement")),
        cell(percent(comparison.between_masks.mean_iou, 2)),
    ]
    if pair is None:
        return "".join(cells) + cell("–") * 4
    return "".join(cells) + _accuracy_cells(pair, verdict)


def _accuracy_cells(pair: AccuracyPair, verdict: Verdict) -> str:
    bounds = pair.miou_drop_interval()
    within = "" if bounds is None else f" <small>[{points(bounds[0])}, {points(bounds[1])}]</small>"
    judged = np.where(pair.judged, pair.class_drops, np.nan)
    worst = "–" if np.isnan(judged).all() else points(float(np.nanmax(judged)))
    return "".join(
        [
            cell(f"{percent(pair.mean_iou[0], 2)} → {percent(pair.mean_iou[1], 2)}"),
            cell(points(pair.miou_drop) + within, level_of(verdict, "max_miou_drop")),
            cell(worst, level_of(verdict, "max_class_drop")),
            cell(points(pair.boundary_drop), level_of(verdict, "max_boundary_drop")),
        ]
    )


def _class_cell(entry: Entry[Comparison], pair: AccuracyPair, index: int) -> str:
    iou, drop = float(pair.artifact.iou()[index]), float(pair.class_drops[index])
    if np.isnan(drop):
        return cell("–")
    text = f"{percent(iou, 2)} <small>{points(drop)}</small>"
    if not pair.judged[index]:
        return cell(f"{text} <small>no verdict</small>")
    return cell(text, level_of(entry.verdict, "max_class_drop", entry.comparison.labels[index]))
