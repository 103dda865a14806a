"""Losses over whole regions: of sets of pixels, not of each by itself.

Scores are (N, C, H, W) float, targets (N, H, W) int64 with an ignored value; all sums run over the whole batch, so that
a class absent from one picture does not make the loss jump.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BOUNDARY_WINDOW = 3
"""Side of the window in which a class and something else must meet: boundaries are then one pixel wide."""
BOUNDARY_REACH = 5
"""Side of the window within which a boundary counts as found."""


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
