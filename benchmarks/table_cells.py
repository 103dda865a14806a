"""Cells of the tables of runs: what a run is, and the fastest of its files in ONNX Runtime and in OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from run_facts import bracketed
from training_facts import training_in_words

ENGINES = ("onnxruntime", "openvino")
THREADS = 1
"""Of the latencies in the tables; the JSON files have what else was measured."""

Measured = tuple[dict[str, Any], dict[str, Any]]
"""An exported file, and one of its latencies."""


RUN_HEADERS = ("made by", "M parameters", "GMACs", "mIoU [95 %]")


def run_cells(row: dict[str, Any]) -> list[str]:
    """Return the cells below RUN_HEADERS; mIoU is the network's own, in PyTorch."""
    return [
        training_in_words(row),
        f"{row['parameters'] / 1e6:.2f}",
        f"{row['macs'] / 1e9:.2f}",
        f"{100 * row['mean_iou']:.2f} {bracketed(row['interval_95'], 100)}",
    ]


def measured(row: dict[str, Any], precision: str) -> list[Measured]:
    """Return the files of a precision that passed their gate, with each of their latencies."""
    items = [item for item in row["artifacts"] if item["precision"] == precision and item["verdict"] != "fail"]
    return [(item, case) for item in items for case in item["latency"]]


def fastest_files(row: dict[str, Any], precision: str) -> list[Measured | None]:
    """Return the fastest file of each engine on one thread, in the order of ENGINES; None where there is none."""
    found = [one for one in measured(row, precision) if one[1]["threads"] == THREADS]
    return [
        min((one for one in found if one[1]["engine"] == engine), key=lambda one: float(one[1]["p50_ms"]), default=None)
        for engine in ENGINES
    ]


def pair(files: Sequence[Measured | None], tell: Callable[[dict[str, Any], dict[str, Any]], str | None]) -> str:
    """Return what `tell` says of each file and its latency, a dash for what is missing."""
    told = [None if one is None else tell(*one) for one in files]
    return " / ".join("–" if value is None else value for value in told)
