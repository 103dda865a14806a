"""Objects made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeseg_export.instances.parity.objects import Seen
from edgeseg_runtime.contract import Contract, Label, Selection
from edgeseg_runtime.instances.paste import Patch
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.result import StageTimes

THRESHOLD = 0.5
CONTRACT = Contract(
    (Label("cat", (255, 0, 0)), Label("dog", (0, 0, 255))),
    40,
    60,
    task="instance",
    output="prototypes",
    selection=Selection((THRESHOLD, THRESHOLD)),
)
Drawn = tuple[int, int, int, int, int, float]
"""Left, top, right, bottom, class, score of a rectangle."""


def result(objects: Sequence[Drawn], contract: Contract = CONTRACT, scale: int = 1) -> InstanceResult:
    """Return full rectangles as objects of a frame `scale` times the contract's size, the surest first."""
    chosen = sorted(objects, key=lambda each: -each[5])
    boxes = np.array([each[:4] for each in chosen], np.float32).reshape(-1, 4)
    patches = tuple(
        Patch(np.ones((1, 1), np.float32), float(x0), float(y0), float(x1 - x0), float(y1 - y0), 0.0)
        for x0, y0, x1, y1 in boxes.tolist()
    )
    return InstanceResult(
        boxes,
        np.array([each[5] for each in chosen], np.float32),
        np.array([each[4] for each in chosen], np.uint8),
        patches,
        contract.height * scale,
        contract.width * scale,
        contract,
        StageTimes(0, 0, 0),
    )


def seen(candidates: Sequence[Drawn], threshold: float = THRESHOLD, scale: int = 1) -> Seen:
    """Return candidates of which those from `threshold` on are objects."""
    return Seen(
        result([each for each in candidates if each[5] >= threshold], scale=scale), result(candidates, scale=scale)
    )
