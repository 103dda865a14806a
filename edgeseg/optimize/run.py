"""A search from its parts to its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.choice import nearest, reason
from edgeseg.optimize.journal import Journal, Recorded
from edgeseg.optimize.measurements import Workshop
from edgeseg.optimize.plot import draw
from edgeseg.optimize.records import Outcome
from edgeseg.optimize.search import search
from edgeseg.optimize.space import Trial, Variant
from edgeseg.optimize.table import Row, csv_text, front_of, rows
from edgeseg.optimize.target import Profile, Scaled
from edgeseg.optimize.workshop import RealWorkshop
from edgeseg_runtime.files import remove, write_json, write_text
from edgeseg_runtime.machine import machine_facts

SCHEMA = 1
CHOSEN, CHOICE, TRIALS, TABLE, RESULT, PICTURE = (
    "chosen",
    "choice.json",
    "trials.jsonl",
    "trials.csv",
    "optimize.json",
    "pareto.png",
)


@dataclass(frozen=True)
class Parts:
    """Everything a search needs."""

    out: Path
    variants: tuple[Variant, ...]
    threads: tuple[int, ...]
    budget: Budget
    workshop: RealWorkshop
    journal: Journal
    profile: Profile | None
    """Of another machine whose latencies are wanted."""
    minutes: float | None
    facts: Mapping[str, str]
    """What a reader needs to make it again: data, pictures, checkpoint."""

    @property
    def latency_label(self) -> str:
        """What the latencies are, in words."""
        if self.profile is None:
            return "median latency from picture to mask, ms"
        return f"ESTIMATED median latency on {self.profile.machine} by ratios, ms"


@dataclass(frozen=True)
class Result:
    """What a search left."""

    met: bool
    text: str
    """Why the choice was chosen, or what came nearest."""
    table: tuple[Row, ...]
    document: dict[str, Any]


def run_search(parts: Parts, command: str, report: Callable[[str], None]) -> Result:
    """Search, and write the folder's files; `chosen/` only if something meets the budget."""
    began = time.monotonic()
    recorded = Recorded(parts.workshop, parts.journal)
    world: Workshop = recorded if parts.profile is None else Scaled(recorded, parts.profile)
    limit = None if parts.minutes is None else 60 * parts.minutes
    outcome = search(
        parts.variants,
        parts.threads,
        parts.budget,
        world,
        proceed=lambda: limit is None or time.monotonic() - began < limit,
        report=report,
    )
    table = tuple(rows(outcome))
    text = reason(outcome, parts.budget) if outcome.best else nearest(outcome, parts.budget)[1]
    if parts.profile is not None:
        text += (
            f" Latencies are estimates for {parts.profile.machine}, by ratios; measure there before relying on them."
        )
    document = _document(parts, outcome, table, text, command)
    if outcome.best is None:
        remove(parts.out / CHOSEN)  # of an earlier budget
    else:
        _deliver(parts, outcome.best, document, command)
    write_json(parts.out / RESULT, document)
    write_text(parts.out / TABLE, csv_text(table))
    label = parts.latency_label
    if not draw(table, parts.out / PICTURE, parts.budget, outcome.original, outcome.best, label):
        remove(parts.out / PICTURE)
        report("no picture: no trial got as far as a score")
    return Result(outcome.best is not None, text, table, document)


def _deliver(parts: Parts, best: Trial, document: Mapping[str, Any], command: str) -> None:
    variant = best.variant
    weights = parts.workshop.trainer.run(variant.weights)
    facts = {**parts.facts, "command": command, "settings": str(best), "weights": str(weights)}
    choice = {name: document[name] for name in ("reason", "choice", "budget", "original_mean_iou", "machine", "target")}
    parts.workshop.deliver(variant, parts.out / CHOSEN, facts, {CHOICE: choice})


def _document(parts: Parts, outcome: Outcome, table: tuple[Row, ...], text: str, command: str) -> dict[str, Any]:
    nearby = None if outcome.best else nearest(outcome, parts.budget)[0]
    chosen = next((row for row in table if row.trial is not None and row.trial == outcome.best), None)
    return {
        "schema": SCHEMA,
        "command": command,
        "met": outcome.best is not None,
        "finished": outcome.finished,
        "reason": text,
        "choice": chosen.as_dict() if chosen else None,
        "nearest": nearby.as_dict() if nearby else None,
        "budget": {
            "latency_ms": parts.budget.latency_ms,
            "max_drop": parts.budget.max_drop,
            "min_gain": parts.budget.gain_points,
        },
        "original_mean_iou": 100 * outcome.original,
        "target": None
        if parts.profile is None
        else {"machine": parts.profile.machine, "latencies": "estimated by ratios"},
        "facts": dict(parts.facts),
        "machine": machine_facts(),
        "front": [row.as_dict() for row in front_of(table)],
        "trials": [row.as_dict() for row in table],
    }
