"""Mixing two feature maps by a learnt weight, written so that int8 engines have every step of it."""

from __future__ import annotations

import torch
from torch import Tensor


def blend(first: Tensor, second: Tensor, logits: Tensor) -> Tensor:
    """Return σ(logits) · first + (1 - σ(logits)) · second; all (N, C, h, w), `logits` may have one channel.

    1 - σ(x) is written σ(-x): products and sums both engines have in int8, differences ONNX Runtime has not.
    """
    return torch.sigmoid(logits) * first + torch.sigmoid(-1.0 * logits) * second
