"""Where objects stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.result import InstanceResult

_MOST = 1 - 1e-6
"""What is cut off by the lower or right border stands just inside it, and so in a zone that reaches there."""


def feet(result: InstanceResult) -> npt.NDArray[np.float64]:
    """Return the middle of each box's lower side: float64 (n, 2), x and y in 0..1 of the frame's width and height."""
    boxes = result.boxes.astype(np.float64)
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2 / result.width, boxes[:, 3] / result.height
    return np.stack([x, y], axis=1).clip(0, _MOST)
