"""The tables of `edgeseg sensitivity`, and what is said there of models of either task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import table

if TYPE_CHECKING:
    from edgeseg_bench.int8_gain import KindGain
    from edgeseg_export.sensitivity import Sensitivity


@dataclass(frozen=True)
class Wording:
    """What is said of the shares that are measured."""

    what: str
    unit: str
    """What they are shares of."""


WORDINGS = {
    "semantic": Wording("pixels that change their class", "pixels"),
    "instance": Wording("objects that change (1 − panoptic quality)", "objects"),
}
"""By task."""


def show(found: Sensitivity, gains: dict[str, list[KindGain]], top: int, said: Wording) -> None:
    """Print the layers that cost most, then the kinds of operators."""
    layers: list[list[str]] = [
        [
            row.name,
            row.kind,
            f"{100 * row.disagreement:.3f}",
            f"{100 * row.worst:.3f}",
            "–" if row.sqnr_db is None else f"{row.sqnr_db:.1f}",
        ]
        for row in found.rows[:top]
    ]
    title = f"{said.what} with one layer in int8, % of {found.pictures} pictures"
    table(title, ["layer", "kind", "mean", "worst picture", "SQNR dB"], layers)
    kinds: list[list[Any]] = [
        [row.kind, engine, f"{row.float32_ms:.3f}", f"{row.int8_ms:.3f}", "slower" if row.slower else ""]
        for engine, rows in gains.items()
        for row in rows
    ]
    table("time by kind of operator, ms of a frame", ["operator", "engine", "float32", "int8", "int8 is"], kinds)
