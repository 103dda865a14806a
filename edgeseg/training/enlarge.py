"""Scores at the size of what they are compared with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def at_size_of(target: Tensor, scores: Tensor) -> Tensor:
    """Return (N, C, h, w) scores as float32 (N, C, H, W) at the size of the (N, H, W) target, bilinear.

    One class after the other in memory: with the classes of a pixel side by side, as networks compute, a processor
    takes three times as long for a cross-entropy and its gradient.
    """
    return F.interpolate(scores.float().contiguous(), size=target.shape[1:], mode="bilinear", align_corners=False)
