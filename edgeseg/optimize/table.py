"""The trials of a search as a table, and their Pareto front."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from edgeseg.optimize.records import Outcome, Record
from edgeseg.optimize.space import Trial
from edgeseg_bench.pareto import front


@dataclass(frozen=True)
class Row:
    """A trial, or a file that was never run, as it stands in the table. None: not measured. mIoU in 0..100."""

    resolution: float
    prune: float
    precision: str
    engine: str
    float_layers: int | None
    """Of mixed files: how many layers stay in float."""
    threads: int | None
    latency_ms: float | None
    latency_of: str | None
    """`file`: the finished one; `shape`: a net of the same shape whose weights were not trained."""
    mean_iou: float | None
    """Over all pictures."""
    quick_mean_iou: float | None
    """Over the few that are looked at first."""
    drop: float | None
    """Points below the original; negative: above."""
    agreement: float | None
    """Share of pixels (0..1) with the class that its own PyTorch net gives."""
    verdict: str
    trial: Trial | None

    @property
    def title(self) -> str:
        """What tells this row from the others."""
        return str(self.trial)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "trial"}


def rows(outcome: Outcome) -> list[Row]:
    """Return a row for every file and number of threads that has a latency, and one for each file that has none."""
    table = []
    for record in outcome.records:
        measured: list[int | None] = [*sorted(record.latency_ms)]
        table += [_row(outcome, record, threads) for threads in measured or [None]]
    return table


def _row(outcome: Outcome, record: Record, threads: int | None) -> Row:
    variant = record.variant
    trial = None if threads is None else Trial(variant, threads)
    confirmed = record.confirmed.get(threads) if threads is not None else None
    latency = record.latency_ms.get(threads) if threads is not None else None
    is_best = trial is not None and trial == outcome.best
    same_file = outcome.best is not None and outcome.best.variant == variant
    verdict = record.verdict or ("chosen" if is_best else f"slower than {outcome.best}" if same_file else "not tried")
    return Row(
        **vars(variant),
        threads=threads,
        latency_ms=confirmed.latency_ms if confirmed else latency,
        latency_of="file" if confirmed else "shape" if latency is not None else None,
        mean_iou=None if record.mean_iou is None else 100 * record.mean_iou,
        quick_mean_iou=None if record.estimate is None else 100 * record.estimate.mean_iou,
        drop=None if record.mean_iou is None else 100 * (outcome.original - record.mean_iou),
        agreement=max((found.agreement for found in record.confirmed.values()), default=None),
        verdict=verdict,
        trial=trial,
    )


def front_of(table: Sequence[Row]) -> list[Row]:
    """Return the rows that no other beats in both latency and mIoU, fastest first; only those that have both."""
    known = [row for row in table if row.latency_ms is not None and row.mean_iou is not None]
    points = [(row.latency_ms or 0.0, row.mean_iou or 0.0) for row in known]
    return [known[index] for index in front(points)]


def csv_text(table: Sequence[Row]) -> str:
    """Return the table as CSV; empty cells were not measured."""
    names = [item.name for item in fields(Row) if item.name != "trial"]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.as_dict() for row in table)
    return buffer.getvalue()


HEADERS = ("resolution", "pruned", "precision", "engine", "threads", "ms", "mIoU", "drop", "parity", "verdict")


def cells(row: Row) -> list[str]:
    """Return a row under HEADERS; a dash where nothing was measured, ~ before what only a few pictures showed."""
    known, mark = (row.mean_iou, "") if row.mean_iou is not None else (row.quick_mean_iou, "~")
    return [
        f"{row.resolution:g}×",
        f"{100 * row.prune:g} %",
        row.precision if row.float_layers is None else f"{row.precision} {row.float_layers}",
        row.engine,
        "–" if row.threads is None else str(row.threads),
        "–" if row.latency_ms is None else f"{row.latency_ms:.2f}",
        "–" if known is None else f"{mark}{known:.2f}",
        "–" if row.drop is None else f"{row.drop:z.2f}",
        "–" if row.agreement is None else f"{100 * row.agreement:.2f} %",
        row.verdict,
    ]
