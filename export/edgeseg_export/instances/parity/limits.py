"""How far an artifact's objects may be from the original's, by the arithmetic it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgeseg_export.parity.thresholds import Bounds, Thresholds
from edgeseg_runtime.contract import Precision


@dataclass(frozen=True)
class InstanceLimits(Bounds):
    """One bound for each number of the gate. Raises ConfigError for a bound that cannot be meant."""

    TITLES: ClassVar[Mapping[str, str]] = {
        "min_mask_iou": "IoU of an object's masks, mean",
        "max_changed_objects": "objects missed or extra, %",
        "max_class_flips": "objects of another class, %",
        "max_score_drift": "score drift, mean, points",
        "max_box_drift": "box drift, mean, input pixels",
        "max_box_shift": "boxes shifted, input pixels",
        "max_ap_drop": "mask AP drop, points",
    }

    min_mask_iou: float
    """Least IoU (0..1) of an object's mask with the original's, mean over objects."""
    max_changed_objects: float
    """Most objects, in % (0..100) of the original's, that are missed or extra."""
    max_class_flips: float
    """Most objects, in % (0..100) of those that both find, of another class."""
    max_score_drift: float
    """Most points (0..100) by which scores differ, mean over objects."""
    max_box_drift: float
    """Most pixels of the model's input by which sides of boxes differ, mean over objects and sides."""
    max_box_shift: float
    """Most pixels of the model's input by which boxes lie to one side, mean over objects."""
    max_ap_drop: float
    """Most points (0..100) of mask AP against the truth that may be lost."""


@dataclass(frozen=True)
class InstanceOverrides(Bounds):
    """Bounds to use in place of a precision's own: beyond them the artifact is refused. Empty keeps the default."""

    min_mask_iou: float | None = None
    """Least IoU (0..1) of an object's mask with the original's, mean over objects."""
    max_changed_objects: float | None = None
    """Most objects, in % (0..100) of the original's, that are missed or extra."""
    max_class_flips: float | None = None
    """Most objects, in % (0..100) of those that both find, of another class."""
    max_score_drift: float | None = None
    """Most points (0..100) by which scores differ, mean over objects."""
    max_box_drift: float | None = None
    """Most pixels of the model's input by which sides of boxes differ, mean over objects and sides."""
    max_box_shift: float | None = None
    """Most pixels of the model's input by which boxes lie to one side, mean over objects."""
    max_ap_drop: float | None = None
    """Most points (0..100) of mask AP against the truth that may be lost."""


_FLOAT32 = InstanceLimits(0.99, 0, 0, 0.1, 0.05, 0.05, 0.1)

INSTANCE_DEFAULTS: Mapping[Precision, Thresholds[InstanceLimits]] = {
    # Another order of the same float32 sums: no score moves, so no object comes or goes but at the threshold.
    "float32": Thresholds(fail=_FLOAT32, warn=_FLOAT32),
    "bf16": Thresholds(
        fail=InstanceLimits(0.97, 3.0, 1.0, 2.0, 0.75, 0.25, 0.5),
        warn=InstanceLimits(0.98, 1.0, 0.5, 1.0, 0.5, 0.15, 0.2),
    ),
    "int8": Thresholds(
        fail=InstanceLimits(0.92, 10.0, 2.0, 6.0, 3.0, 0.4, 2.0),
        warn=InstanceLimits(0.95, 5.0, 1.0, 3.0, 1.5, 0.25, 1.0),
    ),
}
"""Where the gate stands unless told otherwise.

Missed and extra objects are added up, not set off against each other: a model that loses one object and invents
another shows two wrong things. A shift is told from drift, because int8 may well move sides by a pixel this way and
that, and never moves all boxes the same way.
"""
