"""The picture of a search: latency against mIoU, with the front, the budget and the choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.space import PRECISIONS, Trial
from edgeseg.optimize.table import Row, front_of
from edgeseg_runtime.extras import require
from edgeseg_runtime.files import atomic_path

COLORS = {"float32": "#4878a8", "bf16": "#e49444", "int8": "#6a9f58", "mixed": "#85b6b2", "qat": "#a36aa5"}
MARKERS = {"float32": "o", "bf16": "s", "int8": "^", "mixed": "v", "qat": "D"}


def draw(
    table: Sequence[Row], path: Path, budget: Budget, original: float, best: Trial | None, latency_label: str
) -> bool:
    """Write a PNG and return True, or return False where no trial has both a latency and an mIoU.

    Filled marks were scored on all pictures, hollow ones on a few. Raises MissingExtraError without matplotlib.
    """
    require("matplotlib", "plot")
    shown = [row for row in table if row.latency_ms is not None and _value(row) is not None]
    if not shown:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _bounds(axes, budget, original)
    for row in shown:
        _mark(axes, row, best)
    best_rows = front_of(table)
    _front(axes, best_rows)
    figure.supxlabel(_key(best_rows), fontsize=8, ha="left", x=0.06)
    axes.set(xlabel=latency_label, ylabel="mIoU (%)", title="Trials and their Pareto front")
    axes.margins(x=0.12, y=0.15)
    axes.grid(alpha=0.25)
    axes.legend(handles=_legend(shown), loc="lower right", fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return True


def _value(row: Row) -> float | None:
    return row.mean_iou if row.mean_iou is not None else row.quick_mean_iou


def _bounds(axes: Any, budget: Budget, original: float) -> None:
    axes.axvline(budget.latency_ms, color="#b03a2e", lw=1, ls="--")
    axes.axhline(100 * original, color="#777777", lw=0.8, ls=":")
    axes.annotate("original", (0.005, 100 * original), xycoords=("axes fraction", "data"), fontsize=7, va="bottom")
    if budget.max_drop is not None:
        axes.axhline(100 * budget.floor(original), color="#b03a2e", lw=1, ls="--")


def _mark(axes: Any, row: Row, best: Trial | None) -> None:
    color, point = COLORS[row.precision], (row.latency_ms, _value(row))
    face = color if row.mean_iou is not None else "none"
    axes.scatter(*point, s=48, marker=MARKERS[row.precision], edgecolors=color, facecolors=face, zorder=3)
    if best is not None and row.trial == best:
        axes.scatter(*point, s=240, marker="o", edgecolors="#b03a2e", facecolors="none", lw=1.6, zorder=4)


def _front(axes: Any, best: Sequence[Row]) -> None:
    if not best:
        return
    points = [(row.latency_ms, row.mean_iou) for row in best]
    axes.step(*zip(*points, strict=True), where="post", color="#999999", lw=1, zorder=1)
    for number, point in enumerate(points, 1):
        axes.annotate(
            str(number), point, xytext=(-7, 6), textcoords="offset points", ha="right", va="bottom", fontsize=8
        )


def _key(best: Sequence[Row]) -> str:
    """Return what the numbers on the front stand for, a line each."""
    lines = []
    for number, row in enumerate(best, 1):
        parity = "not taken" if row.agreement is None else f"{100 * row.agreement:.2f} %"
        lines.append(f"{number}  {row.title}: {row.latency_ms:.2f} ms, {row.mean_iou:.2f} mIoU, parity {parity}")
    return "\n".join(lines)


def _legend(shown: Sequence[Row]) -> list[Any]:
    from matplotlib.lines import Line2D

    used = [name for name in PRECISIONS if any(row.precision == name for row in shown)]
    marks = [Line2D([], [], marker=MARKERS[name], ls="", color=COLORS[name], label=name) for name in used]
    hollow = Line2D([], [], marker="o", ls="", markerfacecolor="none", color="#777777", label="seen on a few pictures")
    ring = Line2D([], [], marker="o", ls="", ms=12, markerfacecolor="none", color="#b03a2e", label="chosen")
    budget = Line2D([], [], ls="--", lw=1, color="#b03a2e", label="budget")
    return [*marks, hollow, ring, budget]
