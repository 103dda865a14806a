"""Results that a test says object by object, in place of a model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract, Label, Selection
from edgeseg_runtime.instances.paste import Patch
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.result import StageTimes

LABELS = (Label("car", (20, 40, 200)), Label("person", (220, 20, 60)))
CAR, PERSON = 0, 1
CONTRACT = Contract(LABELS, 120, 160, task="instance", output="prototypes", selection=Selection((0.5, 0.5), limit=100))
TIMES = StageTimes(1e-4, 2e-3, 1e-4)

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class Thing:
    """An object of a script."""

    box: Box
    label: int = CAR
    score: float = 0.9
    values: npt.NDArray[np.float32] | None = None
    """Its mask, above 0 inside; None: all of its box."""


def scripted(
    things: Sequence[Thing],
    height: int = 120,
    width: int = 160,
    *,
    contract: Contract = CONTRACT,
    ids: tuple[int, ...] = (),
) -> InstanceResult:
    """Return a result with these objects, in this order."""
    patches = []
    for thing in things:
        left, top, right, bottom = thing.box
        values = np.ones((1, 1), np.float32) if thing.values is None else thing.values.astype(np.float32)
        patches.append(Patch(values, left, top, right - left, bottom - top, 0.0))
    return InstanceResult(
        np.array([thing.box for thing in things], np.float32).reshape(-1, 4),
        np.array([thing.score for thing in things], np.float32),
        np.array([thing.label for thing in things], np.uint8),
        tuple(patches),
        height,
        width,
        contract,
        TIMES,
        ids,
    )


def at(x: float, y: float, width: float = 12, height: float = 20, **more: Any) -> Thing:
    """Return an object that stands at (x, y), the bottom middle of its box."""
    return replace(Thing((x - width / 2, y - height, x + width / 2, y)), **more)
