"""The picture of `edgeseg sensitivity`."""

from __future__ import annotations

from pathlib import Path

from edgeseg_export.sensitivity import Sensitivity
from edgeseg_runtime.files import atomic_path

SHOWN = 40
"""Layers in the picture; the rest cost less than these."""
COLORS = {
    "dense conv": "#4878a8",
    "pointwise conv": "#85b6b2",
    "depthwise conv": "#e49444",
    "grouped conv": "#d1615d",
    "add": "#6a9f58",
    "multiply": "#a87c9f",
    "activation": "#e7ca60",
}
OTHER = "#b8b0ac"


def draw(found: Sensitivity, path: Path, title: str, unit: str) -> None:
    """Write a PNG: a bar for each layer, most sensitive first; a dot for the picture where it is worst.

    `unit` is what the shares are shares of.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = found.rows[:SHOWN]
    figure = Figure(figsize=(9, 1.6 + 0.22 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    places = range(len(rows))
    axes.barh(places, [100 * row.disagreement for row in rows], color=[COLORS.get(row.kind, OTHER) for row in rows])
    axes.plot([100 * row.worst for row in rows], places, ".", color="#555555", markersize=4)
    axes.set_yticks(places, [row.name for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(f"% of {unit}, mean of {found.pictures} pictures (dot: the worst one)")
    axes.set_title(title, fontsize=10)
    axes.grid(axis="x", alpha=0.25)
    axes.margins(y=0.01)
    kinds = list(dict.fromkeys(row.kind for row in rows))
    known = [Patch(color=COLORS[kind], label=kind) for kind in kinds if kind in COLORS]
    others = [Patch(color=OTHER, label="other")] if any(kind not in COLORS for kind in kinds) else []
    axes.legend(handles=known + others, fontsize=8, loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
