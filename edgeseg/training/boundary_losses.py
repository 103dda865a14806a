"""Losses of where classes meet. Pixels that are ignored, and those beside them, do not count."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

BOUNDARY_WINDOW = 3
"""Side of the window in which a class and something else must meet: boundaries are then one pixel wide."""
BOUNDARY_REACH = 5
"""Side of the window within which a boundary counts as found."""


def boundary_f(scores: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """1 - F score of the boundaries, averaged over the classes that have one in the batch.

    A boundary of a class is where it meets something else within 3×3 pixels; one that the other mask has within 5×5
    is found. Bokhovkin and Burnaev, "Boundary Loss for Remote Sensing Imagery Semantic Segmentation", ISNN 2019,
    arXiv:1905.07852, equations 1 to 5. It says nothing far from boundaries, so add it to another loss. Pixels beside
    ignored ones do not count either.
    """
    valid = target != ignore_index
    probabilities = scores.float().softmax(dim=1)
    truth = F.one_hot(target.where(valid, 0), scores.shape[1]).permute(0, 3, 1, 2).to(probabilities.dtype)
    known = 1 - _largest((~valid).unsqueeze(1).to(probabilities.dtype), BOUNDARY_WINDOW)
    found, wanted = (_boundary(maps) * known for maps in (probabilities, truth))
    over = (0, 2, 3)
    precision = (found * _largest(wanted, BOUNDARY_REACH)).sum(over) / found.sum(over).clamp_min(_EPS)
    recall = (wanted * _largest(found, BOUNDARY_REACH)).sum(over) / wanted.sum(over).clamp_min(_EPS)
    score = 2 * precision * recall / (precision + recall).clamp_min(_EPS)
    present = (wanted.sum(over) > 0).to(score.dtype)
    return ((1 - score) * present).sum() / present.sum().clamp_min(1)


_EPS = 1e-7


def _boundary(maps: Tensor) -> Tensor:
    """Return how surely each pixel is of a class and beside something else."""
    outside = 1 - maps
    return _largest(outside, BOUNDARY_WINDOW) - outside


def _largest(maps: Tensor, window: int) -> Tensor:
    """Return the largest value within a window around each pixel."""
    return F.max_pool2d(maps, window, 1, window // 2)


def boundary_loss(scores: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Binary cross-entropy plus Dice of (N, 1, H, W) scores that a pixel lies at the border of two classes.

    Fan et al., "Rethinking BiSeNet For Real-time Semantic Segmentation" (STDC), CVPR 2021, arXiv:2104.13188, section
    3.3. Pixels that are ignored, or at the border of what is, are left out.
    """
    truth, valid = boundaries(target, ignore_index)
    losses = F.binary_cross_entropy_with_logits(scores[:, 0], truth, reduction="none") * valid
    count = valid.sum().clamp_min(1)
    probabilities = scores[:, 0].sigmoid() * valid
    overlap, both = (probabilities * truth).sum(), probabilities.sum() + truth.sum()
    return losses.sum() / count + 1 - (2 * overlap + 1) / (both + 1)


def boundaries(target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return, for (N, H, W) targets, where another class lies within the 3×3 pixels around, and where that is known.

    Both are (N, H, W) float, 0 or 1.
    """
    known = (target != ignore_index).float()
    highest = F.max_pool2d(target.float(), 3, stride=1, padding=1)
    lowest = -F.max_pool2d(-target.float(), 3, stride=1, padding=1)
    valid = -F.max_pool2d(-known, 3, stride=1, padding=1)
    return (highest != lowest).float() * valid, valid
