"""Sums with boxes that torchvision has none of. Boxes are float (…, 4): left, top, right, bottom in pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_area


def contains(boxes: Tensor, points: Tensor) -> Tensor:
    """Return the bool (n, K) table of which of the (K, 2) points lie inside, not on the border of, the (n, 4) boxes."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    return ((points > low) & (points < high)).all(dim=-1)


def covered_share(boxes: Tensor, by: Tensor) -> Tensor:
    """Return float (K, n): which share of each of the (K, 4) boxes is inside each of the (n, 4) others; 0 if empty."""
    low = torch.maximum(boxes[:, None, :2], by[:, :2])
    high = torch.minimum(boxes[:, None, 2:], by[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    area: Tensor = box_area(boxes)
    return shared / area.clamp(min=torch.finfo(boxes.dtype).eps)[:, None]


def pixels_in(boxes: Tensor, size: tuple[int, int], scale: tuple[float, float]) -> Tensor:
    """Return the bool (n, h, w) masks of the pixels of a coarser (h, w) = `size` grid that (n, 4) boxes touch.

    `scale` are the input's pixels for one of the grid's, down and across. Even the smallest box touches one.
    """
    height, width = size
    y = torch.arange(height, device=boxes.device)[:, None] * scale[0]
    x = torch.arange(width, device=boxes.device) * scale[1]
    left, top, right, bottom = boxes[:, :, None, None].unbind(dim=1)
    return (x < right) & (x + scale[1] > left) & (y < bottom) & (y + scale[0] > top)
