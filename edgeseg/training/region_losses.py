"""Losses over whole regions: of sets of pixels, not of each by itself.

Scores are (N, C, H, W) float, targets (N, H, W) int64 with an ignored value; all sums run over the whole batch, so that
a class absent from one picture does not make the loss jump.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dice(scores: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Soft multi-class Dice loss, 1 - 2Σpt / (Σp + Σt), averaged over the classes present in the batch.

    Milletari, Navab and Ahmadi, "V-Net", 3DV 2016, arXiv:1606.04797, without squares in the denominator. The sums run
    over the whole batch, so that a class absent from one picture does not make the loss jump.
    """
    valid = target != ignore_index
    counted = valid.to(scores.dtype).unsqueeze(1)
    probabilities = scores.softmax(dim=1)
    truth = torch.zeros_like(scores).scatter_(1, target.where(valid, 0).unsqueeze(1), counted)
    over = (0, 2, 3)
    present = truth.sum(over)
    overlap = (probabilities * truth).sum(over)
    coefficient = 2 * overlap / ((probabilities * counted).sum(over) + present).clamp_min(torch.finfo(scores.dtype).eps)
    chosen = present > 0
    return ((1 - coefficient) * chosen).sum() / chosen.sum().clamp_min(1)


def lovasz_softmax(scores: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Lovász extension of the Jaccard loss 1 - IoU, averaged over the classes present in the batch.

    Berman, Rannen Triki and Blaschko, "The Lovász-Softmax loss", CVPR 2018, arXiv:1705.08790, equations 8 and 9. At
    one-hot probabilities it is 1 - IoU itself.
    """
    valid = target != ignore_index
    truth = target[valid]
    if truth.numel() == 0:
        return scores.sum() * 0
    probabilities = scores.float().softmax(dim=1).permute(0, 2, 3, 1)[valid]
    losses = []
    for index in torch.unique(truth).tolist():
        members = (truth == index).float()
        errors, order = (members - probabilities[:, index]).abs().sort(descending=True)
        losses.append(errors @ _jaccard_gains(members[order]))
    return torch.stack(losses).mean()


def _jaccard_gains(members: Tensor) -> Tensor:
    """Return what each pixel adds to the Jaccard loss, if pixels become errors one after the other in this order."""
    intersection = members.sum() - members.cumsum(0)
    union = members.sum() + (1 - members).cumsum(0)
    jaccard = 1 - intersection / union
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))
