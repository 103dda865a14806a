"""Which rows are worth having, and the picture of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeseg_bench.report import Row
from edgeseg_runtime.extras import require
from edgeseg_runtime.files import atomic_path

COLORS = {"float32": "#4878a8", "bf16": "#e49444", "int8": "#6a9f58"}
MARKERS = {"onnxruntime": "o", "openvino": "s"}
OTHER_MARKER = "D"
STAGE_COLORS = {"preprocess": "#b8b0ac", "infer": "#4878a8", "decode": "#e49444"}


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the (cost, value) points that no other beats, by increasing cost.

    A point is beaten by one that costs no more and is worth no less, and is better in one of the two.
    Equal points do not beat each other.
    """
    best = float("-inf")
    kept: list[int] = []
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1]))
    for index in order:
        cost, value = points[index]
        if value > best or (kept and points[kept[-1]] == (cost, value)):
            kept.append(index)
            best = value
    return kept


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write a PNG: latency against accuracy with the front drawn in, or, without accuracy, the latencies as bars.

    Raises MissingExtraError without matplotlib.
    """
    require("matplotlib", "plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    scored = [row for row in rows if row.accuracy is not None]
    figure = _scatters(scored) if scored else _bars(rows)
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _scatters(rows: Sequence[Row]) -> Any:
    """Return a figure with a field for each number of threads; files have numbers, which a list beside it explains."""
    from matplotlib.figure import Figure

    counts = sorted({row.threads for row in rows})
    numbers = numbered(rows)
    figure = Figure(figsize=(3 + 4.5 * len(counts), max(4.8, 1.8 + 0.16 * len(numbers))), layout="constrained")
    figure.suptitle("Accuracy against latency")
    for axes, count in zip(figure.subplots(1, len(counts), sharey=True, squeeze=False)[0], counts, strict=True):
        axes.set_title(f"{count} thread{'s' if count > 1 else ''}", fontsize=10)
        _scatter(axes, [row for row in rows if row.threads == count], numbers)
    figure.axes[0].set_ylabel(f"{rows[0].metric} (%)")
    figure.legend(handles=_legend(rows, numbers), loc="outside right upper", fontsize=7)
    return figure


def numbered(rows: Sequence[Row]) -> dict[str, int]:
    """Return a number for each artifact, from 1, the fastest first."""
    best: dict[str, float] = {}
    for row in rows:
        best[row.artifact] = min(row.p50_ms, best.get(row.artifact, row.p50_ms))
    return {name: place for place, name in enumerate(sorted(best, key=lambda name: best[name]), start=1)}


def _scatter(axes: Any, rows: Sequence[Row], numbers: Mapping[str, int]) -> None:
    points = [(row.p50_ms, 100 * (row.accuracy or 0.0)) for row in rows]
    best = front(points)
    axes.step(*zip(*[points[index] for index in best], strict=True), where="post", color="#999999", lw=1, zorder=1)
    for index, (row, point) in enumerate(zip(rows, points, strict=True)):
        leads = index in best
        axes.scatter(
            *point,
            s=80 if leads else 45,
            color=COLORS.get(row.precision, "#777777"),
            marker=MARKERS.get(row.engine, OTHER_MARKER),
            alpha=1 if leads else 0.6,
            zorder=2,
        )
        axes.annotate(
            str(numbers[row.artifact]),
            point,
            xytext=(0, 5 if leads else -5),
            textcoords="offset points",
            ha="center",
            va="bottom" if leads else "top",
            fontsize=7,
            fontweight="bold" if leads else "normal",
            color="black" if leads else "#777777",
            zorder=3,
        )
    axes.set(xlabel="latency of a frame, p50 (ms)", xscale="log")
    _plain_ticks(axes, [cost for cost, _ in points])
    axes.margins(x=0.15)
    _at_least_a_point(axes, [value for _, value in points])
    axes.grid(alpha=0.25)


def _at_least_a_point(axes: Any, values: Sequence[float]) -> None:
    """Show two points of accuracy or more, so that a difference of a hundredth does not look like a cliff."""
    middle = (min(values) + max(values)) / 2
    half = max(1.0, 0.65 * (max(values) - min(values)))
    low, high = axes.get_ylim() if axes.get_ylim() != (0.0, 1.0) else (middle, middle)
    axes.set_ylim(min(low, middle - half), max(high, middle + half))


def _plain_ticks(axes: Any, costs: Sequence[float]) -> None:
    """Mark 1, 2, 5, 10 … ms in plain numbers instead of powers of ten."""
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    marks = [digit * 10.0**power for power in range(-3, 5) for digit in (1, 2, 5)]
    axes.xaxis.set_major_locator(FixedLocator([mark for mark in marks if min(costs) / 2 <= mark <= max(costs) * 2]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())


def _legend(rows: Sequence[Row], numbers: Mapping[str, int]) -> list[Any]:
    from matplotlib.lines import Line2D

    precisions = [name for name in COLORS if any(row.precision == name for row in rows)]
    engines = sorted({row.engine for row in rows})
    dots = [Line2D([], [], marker="o", ls="", color=COLORS[name], label=name) for name in precisions]
    shapes = [
        Line2D([], [], marker=MARKERS.get(name, OTHER_MARKER), ls="", color="#777777", label=name) for name in engines
    ]
    names = [Line2D([], [], ls="", label=f"{number}  {name}") for name, number in numbers.items()]
    return [*dots, *shapes, *names]


def _bars(rows: Sequence[Row]) -> Any:
    """Return a figure with a bar for each row, made of its stages where they are known."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.38 * len(rows)), layout="constrained")
    axes = figure.subplots()
    order = sorted(rows, key=lambda row: -row.p50_ms)
    for place, row in enumerate(order):
        start = 0.0
        for stage, color in STAGE_COLORS.items():
            width = (row.stages_ms or {}).get(stage, 0.0)
            axes.barh(place, width, left=start, color=color, label=stage if place == len(order) - 1 else None)
            start += width
        if row.stages_ms is None:
            axes.barh(place, row.p50_ms, color="#777777")
        axes.annotate(f" {row.p50_ms:.2f}", (max(start, row.p50_ms), place), va="center", fontsize=7)
    axes.set_yticks(range(len(order)), [row.title for row in order], fontsize=7)
    axes.set(xlabel="latency of a frame, p50 (ms)", title="Latency by artifact · engine · threads")
    axes.margins(x=0.1)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, loc="upper right")
    return figure
