"""Losses of each pixel by itself.

Scores are (N, C, H, W) float, targets (N, H, W) int64 with an ignored value, class weights (C,).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(
    scores: Tensor, target: Tensor, ignore_index: int, weight: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy over the pixels that are not ignored; 0 if there are none (PyTorch's own gives NaN).

    `smoothing` is the share of the truth that is spread over all classes (Szegedy et al., CVPR 2016, arXiv:1512.00567).
    """
    losses = F.cross_entropy(
        scores, target, weight=weight, ignore_index=ignore_index, reduction="sum", label_smoothing=smoothing
    )
    valid = target != ignore_index
    # Weighted means divide by the sum of the weights of the pixels' classes, as torch.nn.CrossEntropyLoss does.
    total = valid.sum() if weight is None else weight[target[valid]].sum()
    return losses / total.clamp_min(torch.finfo(losses.dtype).tiny)


def focal(
    scores: Tensor, target: Tensor, ignore_index: int, weight: Tensor | None = None, gamma: float = 2.0
) -> Tensor:
    """Mean of (1 - p)^gamma · cross-entropy over the pixels that are not ignored, p being the true class's probability.

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002, equation 4. With class weights
    the mean is weighted, as in `cross_entropy`, which `gamma` 0 gives.
    """
    losses = F.cross_entropy(scores, target, ignore_index=ignore_index, reduction="none")
    valid = target != ignore_index
    shares = valid.to(losses.dtype) if weight is None else weight[target.where(valid, 0)] * valid
    total = shares.sum().clamp_min(torch.finfo(losses.dtype).tiny)
    # 1 - p by expm1: near p = 1 a plain difference would round to 0, whose power has no finite gradient below gamma 1
    return (shares * (-torch.expm1(-losses)).clamp_min(torch.finfo(losses.dtype).tiny) ** gamma * losses).sum() / total


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
    With class weights the mean is weighted, as in `cross_entropy`, which a `keep` of 1 gives.
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
    if weight is None:
        return losses[hard].mean()
    total = weight[target.flatten()[valid][hard]].sum()
    return losses[hard].sum() / total.clamp_min(torch.finfo(losses.dtype).tiny)
