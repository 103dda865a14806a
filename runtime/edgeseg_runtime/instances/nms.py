"""Leave of several boxes on one object the surest: greedy non-maximum suppression, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
"""(n, 4): left, top, right, bottom."""


Labels = npt.NDArray[np.integer[Any]]
"""(n,)."""

BLOCK = 64
"""Boxes compared with each other at a time: few calls into numpy, and no large matrix where nearly all are kept."""


def nms(
    boxes: Boxes, scores: npt.NDArray[np.float32], labels: Labels, overlap: float, limit: int
) -> npt.NDArray[np.intp]:
    """Return the indices of the boxes that stay, the surest first and at most `limit`.

    A box goes when its IoU with a surer box of its class that stays is larger than `overlap`. Of equal scores the one
    that comes first counts as the surer.
    """
    order = np.argsort(-scores, kind="stable")
    stay: list[int] = []
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        if stay:
            block = block[~_duplicates(boxes, labels, np.array(stay), block, overlap).any(axis=0)]
        duplicates = _duplicates(boxes, labels, block, block, overlap)
        gone = np.zeros(len(block), np.bool_)
        for place, index in enumerate(block.tolist()):
            if gone[place]:
                continue
            stay.append(index)
            if len(stay) == limit:
                return np.array(stay, np.intp)
            gone |= duplicates[place]
    return np.array(stay, np.intp)


def _duplicates(
    boxes: Boxes, labels: Labels, some: npt.NDArray[np.intp], others: npt.NDArray[np.intp], overlap: float
) -> npt.NDArray[np.bool_]:
    """Return (some, others): which pairs are of one class and overlap too much."""
    same: npt.NDArray[np.bool_] = labels[some, None] == labels[others]
    return same & (iou(boxes[some], boxes[others]) > overlap)


def iou(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float32]:
    """Return the (boxes, others) matrix of intersection over union, 0..1; 0 for two empty ones."""
    x0, y0, x1, y1 = boxes.T[:, :, None]
    left, top, right, bottom = others.T
    wide = np.minimum(x1, right) - np.maximum(x0, left)
    high = np.minimum(y1, bottom) - np.maximum(y0, top)
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    union = (x1 - x0) * (y1 - y0) + (right - left) * (bottom - top) - shared
    found: npt.NDArray[np.float32] = np.divide(shared, union, out=shared, where=union > 0)
    return found
