"""Which rows are worth having, and the picture of it."""

from __future__ import annotations

from collections.abc import Sequence
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
    from matplotlib.figure import Figure

    scored = [row for row in rows if row.accuracy is not None]
    counts = sorted({row.threads for row in scored})
    size = (1.5 + 4.5 * len(counts), 4.8) if scored else (9, 1.2 + 0.38 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    if scored:
        figure.suptitle("Accuracy against latency")
        for axes, count in zip(figure.subplots(1, len(counts), sharey=True, squeeze=False)[0], counts, strict=True):
            axes.set_title(f"{count} thread{'s' if count > 1 else ''}", fontsize=10)
            _scatter(axes, [row for row in scored if row.threads == count])
        figure.axes[0].set_ylabel(f"{scored[0].metric} (%)")
        figure.legend(handles=_legend(scored), loc="outside right upper", fontsize=8)
    else:
        _bars(figure.subplots(), rows)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _scatter(axes: Any, rows: Sequence[Row]) -> None:
    points = [(row.p50_ms, 100 * (row.accuracy or 0.0)) for row in rows]
    best = front(points)
    axes.step(*zip(*[points[index] for index in best], strict=True), where="post", color="#999999", lw=1, zorder=1)
    for index, (row, point) in enumerate(zip(rows, points, strict=True)):
        axes.scatter(
            *point,
            s=80 if index in best else 45,
            color=COLORS.get(row.precision, "#777777"),
            marker=MARKERS.get(row.engine, OTHER_MARKER),
            alpha=1 if index in best else 0.6,
            zorder=2,
        )
    for place, index in enumerate(best):
        up = place % 2 == 0  # neighbours on the front may lie close together
        axes.annotate(
            rows[index].artifact,
            points[index],
            xytext=(0, 8 if up else -8),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=7,
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


def _legend(rows: Sequence[Row]) -> list[Any]:
    from matplotlib.lines import Line2D

    precisions = [name for name in COLORS if any(row.precision == name for row in rows)]
    engines = sorted({row.engine for row in rows})
    dots = [Line2D([], [], marker="o", ls="", color=COLORS[name], label=name) for name in precisions]
    shapes = [
        Line2D([], [], marker=MARKERS.get(name, OTHER_MARKER), ls="", color="#777777", label=name) for name in engines
    ]
    return [*dots, *shapes]


def _bars(axes: Any, rows: Sequence[Row]) -> None:
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
