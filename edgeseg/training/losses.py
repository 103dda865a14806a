"""The loss that a run names, and the weights of its classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from edgeseg.config import LossConfig, loss_terms
from edgeseg.training.boundary_losses import boundary_f
from edgeseg.training.pixel_losses import cross_entropy, focal, ohem_cross_entropy
from edgeseg.training.region_losses import dice, lovasz_softmax

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From (N, C, H, W) float scores and (N, H, W) int64 targets to a scalar."""


def class_weights(counts: Sequence[int], kind: str) -> list[float] | None:
    """Return a weight for every class from its pixel count, averaging 1 over the classes that occur.

    `median`: median frequency over frequency (Eigen and Fergus, ICCV 2015, arXiv:1411.4734).
    `log`: 1 / ln(1.02 + frequency) (Paszke et al., ENet, arXiv:1606.02147). A class that never occurs gets 1.
    """
    if kind == "none":
        return None
    total = sum(counts)
    frequency = torch.tensor([count / max(total, 1) for count in counts], dtype=torch.float64)
    occurs = frequency > 0
    if kind == "median":
        raw = frequency[occurs].median() / frequency.clamp_min(1e-12)
    else:
        raw = 1 / torch.log(1.02 + frequency)
    raw = raw / raw[occurs].mean()
    return [float(value) for value in raw.where(occurs, 1.0)]


def make_loss(config: LossConfig, ignore_index: int, weight: Tensor | None) -> Loss:
    """Return the loss that `config` names, of scores and target at the same size."""
    kinds: dict[str, Loss] = {
        "ce": lambda scores, target: cross_entropy(scores, target, ignore_index, weight, config.label_smoothing),
        "focal": lambda scores, target: focal(scores, target, ignore_index, weight, config.focal_gamma),
        "ohem": lambda scores, target: ohem_cross_entropy(
            scores, target, ignore_index, weight, config.ohem_threshold, config.ohem_keep
        ),
        "dice": lambda scores, target: dice(scores, target, ignore_index),
        "lovasz": lambda scores, target: lovasz_softmax(scores, target, ignore_index),
        "boundary": lambda scores, target: boundary_f(scores, target, ignore_index),
    }
    terms = [(factor, kinds[name]) for factor, name in loss_terms(config.loss)]
    return lambda scores, target: torch.stack([factor * loss(scores, target) for factor, loss in terms]).sum()
