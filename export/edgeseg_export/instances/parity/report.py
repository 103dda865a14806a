"""The gate's numbers and pictures of objects on one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from edgeseg_export.instances.parity.compare import InstanceReference
from edgeseg_export.instances.parity.comparison import FEW_OBJECTS, InstanceComparison
from edgeseg_export.instances.parity.matching import MATCH_IOU, SCORE_MARGIN
from edgeseg_export.instances.parity.objects import FLOOR
from edgeseg_export.instances.parity.outlines import Color, dimmed, outlined
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.html import badge, cell, html_table, level_of, percent, points, swatch
from edgeseg_export.parity.page import Page, lead, row, section, write_page
from edgeseg_export.parity.tiles import GAINED, LOST
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult

Entries = Sequence[Entry[InstanceComparison]]
HEADER = (
    "artifact",
    "verdict",
    "objects",
    "missed",
    "extra",
    "at threshold",
    "other class",
    "mask IoU",
    "box drift, shift, px",
    "score drift, points",
    "mask AP against truth",
    "drop, points",
)


def write_report(
    path: Path, title: str, reference: InstanceReference, entries: Entries, facts: Mapping[str, str]
) -> None:
    """Write one HTML file with everything inside it: tables, verdicts and the pictures that agree least."""
    page = Page(
        lead=lead(f"Objects of {len(entries)} exported files beside the original's", len(reference.names), entries),
        summary=html_table(HEADER, [_summary_row(entry) for entry in entries]),
        explanation=_explanation(reference),
        classes=_class_table(entries, reference),
        legend="".join(f"<li>{swatch(each.color)}{escape(each.name)}</li>" for each in reference.contract.labels),
        differences="".join(
            f"<li>{swatch(color[::-1])}{meaning}</li>"
            for color, meaning in ((LOST, "only the original has it"), (GAINED, "only the artifact has it"))
        ),
        artifacts="".join(_section(entry, reference) for entry in entries),
    )
    write_page(path, title, page, facts)


def _explanation(reference: InstanceReference) -> str:
    return (
        "Original: PyTorch, float32, through the same resizing and decoding. Objects are paired by their masks, the "
        f"largest IoU first, of one class before others, from {MATCH_IOU:g} on. “At threshold”: only one has it, since "
        f"its score lies on the other side of the original's threshold by at most {SCORE_MARGIN:g} between both. Drift "
        "is the mean of absolute differences, shift the common part of all boxes' moves (from "
        f"{FEW_OBJECTS} pairs), both in pixels of the model's input. Mask AP is COCO's, over candidates with scores "
        f"from {FLOOR:g}; in brackets the 95 % interval of a paired bootstrap over pictures "
        f"({reference.sampling.resamples} resamples)."
    )


def _summary_row(entry: Entry[InstanceComparison]) -> str:
    comparison, verdict = entry.comparison, entry.verdict
    changed = level_of(verdict, "max_changed_objects")
    boxes = max((level_of(verdict, limit) for limit in ("max_box_drift", "max_box_shift")), key=_severity)
    cells = [
        f"<td>{escape(entry.name)}</td>",
        cell(badge(verdict)),
        cell(f"{comparison.originals:,}"),
        cell(f"{comparison.missed:,}", changed),
        cell(f"{comparison.extra:,}", changed),
        cell(f"{comparison.at_threshold:,}"),
        cell(_number(comparison.class_flips, 2, " %"), level_of(verdict, "max_class_flips")),
        cell(percent(comparison.mask_iou, 3), level_of(verdict, "min_mask_iou")),
        cell(f"{_number(comparison.box_drift, 3)}, {_number(comparison.box_shift, 3)}", boxes),
        cell(_number(comparison.score_drift[0], 3), level_of(verdict, "max_score_drift")),
    ]
    pair = comparison.accuracy
    if pair is None:
        return "".join(cells) + cell("–") * 2
    bounds = pair.drop_interval
    within = "" if bounds is None else f" <small>[{points(bounds[0])}, {points(bounds[1])}]</small>"
    cells.append(cell(f"{percent(pair.mean_ap[0], 2)} → {percent(pair.mean_ap[1], 2)}"))
    cells.append(cell(points(pair.drop) + within, level_of(verdict, "max_ap_drop")))
    return "".join(cells)


def _class_table(entries: Entries, reference: InstanceReference) -> str:
    scored = [(entry.name, entry.comparison.accuracy) for entry in entries]
    pairs = [(name, pair) for name, pair in scored if pair is not None]
    if reference.accuracy is None or not pairs:
        return "<p>The pictures came without truth.</p>"
    original, positives = reference.accuracy.class_ap(), reference.accuracy.positives.sum(0)
    rows = []
    for index, label in enumerate(reference.contract.labels):
        cells = [f"<td>{swatch(label.color)}{escape(label.name)}</td>", cell(f"{positives[index]:,}")]
        cells.append(cell(percent(float(original[index]), 2)))
        for _, pair in pairs:
            ap, drop = float(pair.artifact.class_ap()[index]), float(pair.class_drops[index])
            cells.append(cell("–" if np.isnan(drop) else f"{percent(ap, 2)} <small>{points(drop)}</small>"))
        rows.append("".join(cells))
    header = ["class", "true objects", "original's mask AP", *(f"{name} mask AP, drop" for name, _ in pairs)]
    return f'<div class="scroll">{html_table(header, rows)}</div>'


def _section(entry: Entry[InstanceComparison], reference: InstanceReference) -> str:
    shown = [index for index in entry.comparison.worst if entry.comparison.agreement[index] < 1]
    rows = "".join(_row(entry, index, reference) for index in shown)
    return section(entry.name, entry.verdict, rows or "<p>Every object is the original's, to the pixel.</p>")


def _row(entry: Entry[InstanceComparison], index: int, reference: InstanceReference) -> str:
    """One picture side by side: truth, both paths' objects, what only one has."""
    picture, match = reference.pictures[index], entry.comparison.matches[index]
    colors = [each.color[::-1] for each in reference.contract.labels]
    original, artifact = reference.seen[index].objects, entry.comparison.worst[index].objects

    def of_classes(result: InstanceResult) -> Iterable[tuple[Region, Color]]:
        return [(region, colors[label]) for label, region in zip(result.labels, result.regions, strict=True)]

    tiles = []
    if picture.truth is not None:
        truth = [(each.region, colors[each.label]) for each in picture.truth]
        tiles.append(("truth", outlined(picture.image, truth)))
    tiles += [
        ("original", outlined(picture.image, of_classes(original))),
        ("artifact", outlined(picture.image, of_classes(artifact))),
    ]
    alone = [(original.regions[place], LOST) for place in match.missed]
    alone += [(artifact.regions[place], GAINED) for place in match.extra]
    tiles.append(("missed and extra", outlined(dimmed(picture.image), alone)))
    numbers = (
        f"{match.originals} objects, {match.artifacts} in the artifact, {len(match.missed)} missed, "
        f"{len(match.extra)} extra, {match.at_threshold} at the threshold; agreement {100 * match.agreement:.2f} %"
    )
    return row(picture.name, numbers, tiles)


def _severity(level: str) -> int:
    return ("", "pass", "warn", "fail").index(level)


def _number(value: float, digits: int, unit: str = "") -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}{unit}"
