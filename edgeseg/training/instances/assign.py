"""Which candidates of a one-stage network learn which object.

Feng et al., "TOOD: Task-aligned One-stage Object Detection", ICCV 2021, arXiv:2108.07755, section 3.2: a candidate is
the better aligned with an object, the surer it is of its class and the better its box fits, t = s^α · u^β with the
score s and the IoU u. The best of those inside an object's box learn it, and its class with a soft target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_iou

from edgeseg.models.instances.cells import Cells
from edgeseg.training.instances.boxes import contains, covered_share

ALPHA, BETA = 1.0, 6.0
CANDIDATES = 13
"""Of each object, at most; all three are the paper's."""
LEAST_QUALITY = 0.1
"""Of an object's best candidate: where no box meets the object yet, its IoU of 0 would teach nothing."""
CROWDED = 0.5
"""Share of a candidate's box inside a crowd from which on it is not wrong to see the crowd's class there."""
_TINY = 1e-20
"""Below every alignment that counts: it ranks candidates that have none by how near the object's middle they are."""


class Objects(NamedTuple):
    """The objects of one picture."""

    boxes: Tensor
    """float32 (n, 4)."""
    labels: Tensor
    """int64 (n,)."""
    crowd: Tensor
    """bool (n,)."""


@dataclass(frozen=True)
class Assignment:
    """What the K candidates of one picture learn."""

    owner: Tensor
    """int64 (K,): index among the picture's objects, crowds included, or -1 for none."""
    quality: Tensor
    """float32 (K,) in 0..1: the target of the owner's class; 0 without an owner."""
    ignored: Tensor
    """bool (K, classes): where a high score is not wrong, as the candidate lies in a crowd of the class."""


@torch.no_grad()
def assign(scores: Tensor, boxes: Tensor, cells: Cells, objects: Objects) -> Assignment:
    """Give candidates to the objects of one picture.

    `scores` float32 (K, classes) in 0..1, `boxes` float32 (K, 4). A candidate that several objects want goes to the one
    its box fits best. Every object that is no crowd gets at least one, if there are as many candidates as objects: the
    nearest of the finest grid, where no cell's centre is inside its box.
    """
    ignored = _in_crowd(boxes, objects, scores.shape[1])
    owner = torch.full((len(boxes),), -1, device=boxes.device)
    quality = torch.zeros(len(boxes), device=boxes.device)
    single = (~objects.crowd).nonzero().flatten()
    if len(single) == 0:
        return Assignment(owner, quality, ignored)
    wanted = objects.boxes[single]
    overlap = box_iou(wanted, boxes)
    away = torch.cdist((wanted[:, :2] + wanted[:, 2:]) / 2, cells.centres)
    reach = contains(wanted, cells.centres)
    lost = (~reach.any(dim=1)).nonzero().flatten()
    nearest = away[lost].where(cells.strides == cells.strides.min(), torch.inf).argmin(dim=1)
    reach[lost, nearest] = True
    alignment = reach * scores[:, objects.labels[single]].T ** ALPHA * overlap**BETA + _TINY / (1 + away)
    taken = _share_out(alignment, overlap, reach)
    owned = (taken >= 0).nonzero().flatten()
    owner[owned] = single[taken[owned]]
    quality[owned] = _soft_targets(alignment, overlap, taken[owned], owned)
    ignored[owned] = False
    return Assignment(owner, quality, ignored)


def _in_crowd(boxes: Tensor, objects: Objects, classes: int) -> Tensor:
    """Return bool (K, classes): candidates of which most lies in a crowd of the class."""
    ignored = torch.zeros(len(boxes), classes, dtype=torch.bool, device=boxes.device)
    crowds, labels = objects.boxes[objects.crowd], objects.labels[objects.crowd]
    for covered, label in zip(covered_share(boxes, crowds).T, labels, strict=True):
        ignored[:, label] |= covered > CROWDED
    return ignored


def _share_out(alignment: Tensor, overlap: Tensor, reach: Tensor) -> Tensor:
    """Return int64 (K,): which object each candidate goes to, or -1. All tables are (n, K)."""
    best, where = (alignment * reach).topk(min(CANDIDATES, reach.shape[1]), dim=1)
    wishes = torch.zeros_like(reach).scatter_(1, where, best > 0)
    taken = torch.where(wishes.any(dim=0), torch.where(wishes, overlap, -1.0).argmax(dim=0), -1)
    counts = torch.bincount(taken[taken >= 0], minlength=len(reach))
    for left_out in (counts == 0).nonzero().flatten().tolist():  # all it wanted fits others better
        spare = (taken < 0) | (counts[taken] > 1)
        if not spare.any():
            break
        near = spare & reach[left_out]
        given = torch.where(near if near.any() else spare, alignment[left_out], -1.0).argmax()
        if taken[given] >= 0:
            counts[taken[given]] -= 1
        taken[given] = left_out
        counts[left_out] = 1
    return taken


def _soft_targets(alignment: Tensor, overlap: Tensor, owners: Tensor, owned: Tensor) -> Tensor:
    """Return float (m,) targets of the candidates `owned` by `owners`: each object's best aligned gets its best IoU."""
    aligned, fit = alignment[owners, owned], overlap[owners, owned]
    none = alignment.new_zeros(len(alignment))
    best = none.scatter_reduce(0, owners, aligned, "amax")
    fits = none.scatter_reduce(0, owners, fit, "amax").clamp(min=LEAST_QUALITY)
    return aligned / best[owners] * fits[owners]
