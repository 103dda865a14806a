"""Losses of semantic segmentation. Scores are (N, C, H, W) float, targets (N, H, W) int64 with an ignored value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeseg.config import LossConfig

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(scores: Tensor, target: Tensor, ignore_index: int, weight: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over the pixels that are not ignored; 0 if there are none (PyTorch's own gives NaN)."""
    losses = F.cross_entropy(scores, target, weight=weight, ignore_index=ignore_index, reduction="sum")
    valid = target != ignore_index
    # Weighted means divide by the sum of the weights of the pixels' classes, as torch.nn.CrossEntropyLoss does.
    total = valid.sum() if weight is None else weight[target[valid]].sum()
    return losses / total.clamp_min(torch.finfo(losses.dtype).tiny)


def dice(scores: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Soft multi-class Dice loss, 1 - 2Σpt / (Σp + Σt), averaged over the classes present in the batch.

    Milletari, Navab and Ahmadi, "V-Net", 3DV 2016, arXiv:1606.04797, without squares in the denominator. The sums run
    over the whole batch, so that a class absent from one picture does not make the loss jump.
    """
    classes = scores.shape[1]
    valid = target != ignore_index
    probabilities = scores.softmax(dim=1) * valid.unsqueeze(1)
    truth = F.one_hot(target.where(valid, 0), classes).permute(0, 3, 1, 2) * valid.unsqueeze(1)
    over = (0, 2, 3)
    present = truth.sum(over)
    overlap = (probabilities * truth).sum(over)
    coefficient = 2 * overlap / (probabilities.sum(over) + present).clamp_min(torch.finfo(scores.dtype).eps)
    chosen = present > 0
    return ((1 - coefficient) * chosen).sum() / chosen.sum().clamp_min(1)


def ohem_cross_entropy(
    scores: Tensor,
    target: Tensor,
    ignore_index: int,
    weight: Tensor | None = None,
    threshold: float = 0.7,
    keep: float = 0.0625,
) -> Tensor:
    """Mean cross-entropy over the hard pixels: those whose true class has a probability below `threshold`.

    At least the share `keep` of the valid pixels counts, the hardest ones. Shrivastava, Gupta and Girshick,
    "Training Region-based Object Detectors with Online Hard Example Mining", CVPR 2016, per pixel as in BiSeNet.
    """
    losses = F.cross_entropy(scores, target, weight=weight, ignore_index=ignore_index, reduction="none").flatten()
    # With class weights the loss is no longer -ln p, so hardness is judged on the unweighted one.
    plain = (
        losses
        if weight is None
        else F.cross_entropy(scores, target, ignore_index=ignore_index, reduction="none").flatten()
    )
    valid = target.flatten() != ignore_index
    losses, hardness = losses[valid], plain[valid].detach()
    if losses.numel() == 0:
        return scores.sum() * 0
    least = max(1, round(keep * losses.numel()))
    limit = -torch.log(torch.tensor(threshold, dtype=hardness.dtype, device=hardness.device))
    hard = hardness > limit
    if int(hard.sum()) < least:
        hard = torch.zeros_like(hard)
        hard[hardness.topk(least).indices] = True
    return losses[hard].mean()


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
        "ce": lambda scores, target: cross_entropy(scores, target, ignore_index, weight),
        "dice": lambda scores, target: dice(scores, target, ignore_index),
        "ce+dice": lambda scores, target: (
            cross_entropy(scores, target, ignore_index, weight) + dice(scores, target, ignore_index)
        ),
        "ohem": lambda scores, target: ohem_cross_entropy(
            scores, target, ignore_index, weight, config.ohem_threshold, config.ohem_keep
        ),
    }
    return kinds[config.loss]
