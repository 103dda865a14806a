"""What compression cost and gained, as a table in Markdown."""

from __future__ import annotations

from typing import Any

from run_facts import bracketed
from training_facts import training_in_words

HEADERS = (
    "run",
    "made by",
    "M parameters",
    "GMACs",
    "file",
    "mIoU [95 %]",
    "below the original",
    "same pixels",
    "MB",
    "frame, ms",
    "network alone",
)
THREADS = 1
"""Of the latencies in the table; the JSON file has what else was measured."""
REFERENCE = "openvino-float32"
"""File of the original whose network is 1 in the last column."""

Case = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
"""A run, one of its files, and one of the file's latencies."""


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return a line for each file and engine of `rows`, the original's first; files that failed their gate say so.

    *Below the original* are points of mIoU that a file is below the original network in PyTorch, *same pixels* is
    against the network that the file was made of, and *network alone* how many times as fast it is as the original's
    float32 in OpenVINO, a dash where a bench did not time the stages.
    """
    cases = [
        (row, item, case)
        for row in rows
        for item in row["artifacts"]
        for case in item["latency"]
        if case["threads"] == THREADS
    ]
    unit = next((case["network_ms"] for row, item, case in cases if row is rows[0] and item["name"] == REFERENCE), None)
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + "---|" * len(HEADERS)]
    return "\n".join([*lines, *("| " + " | ".join(_cells(case, rows[0]["mean_iou"], unit)) + " |" for case in cases)])


def _cells(case: Case, original: float, unit: float | None) -> list[str]:
    row, item, timed = case
    alone = timed["network_ms"]
    return [
        row["run"],
        training_in_words(row),
        f"{row['parameters'] / 1e6:.2f}",
        f"{row['macs'] / 1e9:.2f}",
        f"{item['name']}, {timed['engine']}" + (", rejected" if item["verdict"] == "fail" else ""),
        f"{100 * item['mean_iou']:.2f} {bracketed(item['interval_95'], 100)}",
        f"{100 * (original - item['mean_iou']):.2f}",
        f"{100 * item['agreement']:.2f} %",
        f"{item['bytes'] / 1e6:.1f}",
        f"{timed['p50_ms']:.2f}",
        "–" if unit is None or alone is None else f"{unit / alone:.1f} ×",
    ]
