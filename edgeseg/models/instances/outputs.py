"""What instance networks give, in PyTorch."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class PrototypeOutput(NamedTuple):
    """Of a batch of N pictures: K candidates each, most of which are nothing, and p prototypes.

    A candidate's mask is where its coefficients times the prototypes sum to more than 0, within its box.
    """

    boxes: Tensor
    """(N, K, 4): left, top, right, bottom in pixels of the input."""
    logits: Tensor
    """(N, K, classes): the score is its sigmoid."""
    coefficients: Tensor
    """(N, K, p)."""
    prototypes: Tensor
    """(N, p, h, w)."""


class DetectionOutput(NamedTuple):
    """Of one picture: n objects, the surest first, duplicates removed."""

    boxes: Tensor
    """(n, 4): left, top, right, bottom in pixels of the input."""
    labels: Tensor
    """(n,) int64 class indices, background not counted."""
    scores: Tensor
    """(n,) in 0..1."""
    masks: Tensor
    """(n, m, m) probabilities over the box."""
