"""The result of a bench: rows, and the JSON document they are kept in."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from edgeseg_runtime.machine import machine_facts

SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """What was measured of one file, in one engine, with so many threads. None: not known of this subject."""

    name: str
    engine: str
    precision: str
    threads: int
    file: str | None
    """None for code that is no file, such as the original in PyTorch."""
    frames: int
    """Frames behind the latencies."""
    p50_ms: float
    """From BGR frame to mask of its size, a frame at a time on all threads."""
    p95_ms: float
    p99_ms: float
    stages_ms: dict[str, float] | None
    """Medians of preprocess, infer and decode; they need not add up to `p50_ms`."""
    fps: float
    """Frames a second with one lane a thread (one lane with all threads for code that is no file)."""
    size_bytes: int | None = None
    load_ms: float | None = None
    """From file to compiled model, in a fresh process, the engine imported."""
    first_mask_ms: float | None = None
    """The first frame after that."""
    peak_rss_bytes: int | None = None
    """Largest memory of that process, the interpreter and the engine included."""
    mean_iou: float | None = None
    """Of semantic models."""
    mask_ap: float | None = None
    """Of instance models."""
    network: str = ""
    """Which network it is of, where several were measured."""

    @property
    def artifact(self) -> str:
        """What tells its file from the others."""
        return f"{self.network}/{self.name}" if self.network else self.name

    @property
    def accuracy(self) -> float | None:
        """The number of its task, 0..1; None where it was not scored."""
        return self.mean_iou if self.mask_ap is None else self.mask_ap

    @property
    def metric(self) -> str:
        """What people call that number."""
        return "mIoU" if self.mask_ap is None else "mask AP"

    @property
    def title(self) -> str:
        """What tells this row from the others."""
        return f"{self.artifact} · {self.engine} · {self.threads}"


def document(
    rows: Sequence[Row],
    verdicts: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    loads: tuple[Sequence[float] | None, Sequence[float] | None],
) -> dict[str, Any]:
    """Return everything about a bench as plain JSON values; `loads` are `load_average()` before and after it."""
    return {
        "schema": SCHEMA,
        **_circumstances(*loads),
        "settings": dict(settings),
        "rows": [asdict(row) for row in rows],
        "verdicts": [dict(verdict) for verdict in verdicts],
    }


def circumstances(before: Sequence[float] | None) -> dict[str, Any]:
    """Return when, where and by what command a script measured, which ends now; `before` is `load_average()` then."""
    return {"command": " ".join(["python", *sys.argv]), **_circumstances(before, load_average())}


def _circumstances(before: Sequence[float] | None, after: Sequence[float] | None) -> dict[str, Any]:
    return {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "load_average": {"before": before, "after": after},
    }


def load_average() -> list[float] | None:
    """Return how many processes wanted a core on average over the last 1, 5 and 15 minutes; None if not told."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except OSError:
        return None


HEADERS = (
    "artifact",
    "engine",
    "precision",
    "threads",
    "p50 ms",
    "p95",
    "p99",
    "pre",
    "infer",
    "decode",
    "frames/s",
    "first ms",
    "MB file",
    "MB memory",
    "mIoU",
    "mask AP",
)


def cells(row: Row) -> list[str]:
    """Return a row of the table under HEADERS; a dash where nothing was measured."""
    stages = row.stages_ms or {}
    first = None if row.load_ms is None or row.first_mask_ms is None else row.load_ms + row.first_mask_ms
    return [
        row.artifact,
        row.engine,
        row.precision,
        str(row.threads),
        *(_number(value, 2) for value in (row.p50_ms, row.p95_ms, row.p99_ms)),
        *(_number(stages.get(name), 2) for name in ("preprocess", "infer", "decode")),
        _number(row.fps, 1),
        _number(first, 0),
        _number(None if row.size_bytes is None else row.size_bytes / 1e6, 2),
        _number(None if row.peak_rss_bytes is None else row.peak_rss_bytes / 1e6, 0),
        _number(row.mean_iou, 4),
        _number(row.mask_ap, 4),
    ]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
