"""What `edgeseg parity` prints: a table of each file's numbers, then what was warned of and what was not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import note, percent, table

if TYPE_CHECKING:
    from edgeseg_export.instances.parity.comparison import InstanceComparison
    from edgeseg_export.parity.comparison import Comparison
    from edgeseg_export.parity.entry import Entry

MASKS = ["file", "verdict", "same pixels", "worst picture", "near edges", "mIoU", "drop, points", "95 %"]
OBJECTS = [
    "file", "verdict", "objects", "missed", "extra", "at threshold", "mask IoU, %", "box drift, px", "mask AP, %",
    "drop, points", "95 %",
]  # fmt: skip


def show(entries: list[Entry[Any]], original: str) -> None:
    """Print the comparisons of one gate with the original."""
    from edgeseg_export.instances.parity.comparison import InstanceComparison

    pictures = len(entries[0].comparison.pictures)
    if isinstance(entries[0].comparison, InstanceComparison):
        table(f"beside {original} on {pictures} pictures", OBJECTS, [_objects(entry) for entry in entries])
    else:
        table(f"beside {original} on {pictures} pictures, %", MASKS, [_masks(entry) for entry in entries])
    for entry in entries:
        for remark in (*(f"warning: {finding}" for finding in entry.verdict.warnings), *entry.verdict.notes):
            note(f"{entry.name}: {remark}")


def _masks(entry: Entry[Comparison]) -> list[str]:
    from edgeseg_export.parity.html import points

    comparison, pair = entry.comparison, entry.comparison.accuracy
    shares = (comparison.mean_agreement, float(comparison.agreement.min()), comparison.edge_agreement)
    row = [entry.name, entry.verdict.level, *(f"{100 * share:.3f}" for share in shares)]
    if pair is None:
        return [*row, "–", "–", "–"]
    return [*row, f"{100 * pair.mean_iou[1]:.2f}", points(pair.miou_drop), _within(pair.miou_drop_interval())]


def _objects(entry: Entry[InstanceComparison]) -> list[str]:
    from edgeseg_export.parity.html import points

    comparison, pair = entry.comparison, entry.comparison.accuracy
    counts = (comparison.originals, comparison.missed, comparison.extra, comparison.at_threshold)
    drift = comparison.box_drift
    row = [entry.name, entry.verdict.level, *map(str, counts), percent(comparison.mask_iou)]
    row.append("–" if drift != drift else f"{drift:.3f}")
    if pair is None:
        return [*row, "–", "–", "–"]
    return [*row, percent(pair.mean_ap[1]), points(pair.drop), _within(pair.drop_interval)]


def _within(bounds: tuple[float, float] | None) -> str:
    from edgeseg_export.parity.html import points

    return "–" if bounds is None else f"{points(bounds[0])} to {points(bounds[1])}"
