"""The loss that a run names, and the weights of its classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeseg.config import LossConfig, loss_terms
from edgeseg.training.boundary_losses import boundary_f
from edgeseg.training.pixel_losses import cross_entropy, focal, ohem_cross_entropy
from edgeseg.training.region_losses import dice, lovasz_softmax

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From (N, C, H, W) float scores and (N, H, W) int64 targets to a scalar."""


def class_weights(counts: NDArray[np.int64], kind: str) -> list[float] | None:
    """Return a weight for every class, averaging 1 over the classes that occur. One that never occurs gets 1.

    `counts` are the pixels of each class in each picture, (pictures, classes). `median`: median frequency over
    frequency, which is a class's share of the pixels of the pictures that hold it (Eigen and Fergus, ICCV 2015,
    arXiv:1411.4734). `log`: 1 / ln(1.02 + frequency), which is its share of all pixels (Paszke et al., ENet,
    arXiv:1606.02147). Ignored pixels count nowhere.
    """
    if kind == "none":
        return None
    pixels = counts.sum(axis=0)
    occurs = pixels > 0
    if not occurs.any():
        return [1.0] * len(pixels)
    if kind == "median":
        around = (counts.sum(axis=1, keepdims=True) * (counts > 0)).sum(axis=0)
        frequency = pixels / around.clip(min=1)
        raw = np.median(frequency[occurs]) / frequency.clip(min=1e-12)
    else:
        raw = 1 / np.log(1.02 + pixels / max(pixels.sum(), 1))
    weights: list[float] = np.where(occurs, raw / raw[occurs].mean(), 1.0).tolist()
    return weights


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
