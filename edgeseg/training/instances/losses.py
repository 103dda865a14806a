"""What a network of prototypes and candidates learns by.

Classes: the quality focal loss with aligned targets (Li et al., "Generalized Focal Loss", NeurIPS 2020,
arXiv:2006.04388, equation 2; Feng et al., TOOD, arXiv:2108.07755). Boxes: generalised IoU (Rezatofighi et al., CVPR
2019, arXiv:1902.09630). Masks: cross-entropy inside the true box over its area (Bolya et al., YOLACT, arXiv:1904.02689,
section 3.2), with Dice (Milletari et al., V-Net, arXiv:1606.04797), which does not care how large the object is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from edgeseg.models.instances.cells import Cells, make_cells
from edgeseg.models.instances.outputs import PrototypeOutput
from edgeseg.training.instances.assign import Assignment, Objects, assign
from edgeseg.training.instances.boxes import pixels_in

WEIGHTS = {"classes": 1.0, "boxes": 2.0, "masks": 2.0, "dice": 1.0}
"""How much each term counts."""
FOCUS = 2.0
"""The exponent of the focal loss; the paper's."""
MASKS = 64
"""Masks that are compared in a picture, at most: of every object first the best candidate's, then the second's …"""


class _Terms(NamedTuple):
    """Sums over one picture."""

    classes: Tensor
    boxes: Tensor
    masks: Tensor
    dice: Tensor
    quality: Tensor
    """Of all candidates that learn an object …"""
    drawn: Tensor
    """… and of those whose masks are compared."""


def prototype_losses(
    output: PrototypeOutput, targets: Sequence[Mapping[str, Tensor]], size: tuple[int, int]
) -> dict[str, Tensor]:
    """Return what is to be summed and made smaller, 0-d float32 each, under the names of WEIGHTS.

    Of each of the N pictures a target says: `boxes` float32 (n, 4) in pixels of the (height, width) = `size` input,
    `labels` int64 (n,), `masks` bool or uint8 (n, height, width), `crowd` bool (n,). Every candidate counts by how well
    it is aligned, and the sums are over the batch, so that an empty picture only says what is nothing. Raises
    ValueError when there are not as many targets as pictures, or another number of candidates than in such an input.
    """
    cells = make_cells(size, output.boxes.device)
    if len(targets) != len(output.boxes) or output.boxes.shape[1] != len(cells.centres):
        raise ValueError(
            f"{len(output.boxes)} pictures of {output.boxes.shape[1]} candidates with {len(targets)} targets of "
            f"{len(cells.centres)} candidates for inputs of {size[0]}×{size[1]}"
        )
    of_pictures = [
        _terms(PrototypeOutput(*(part.float() for part in parts)), target, cells, size)
        for parts, target in zip(zip(*output, strict=True), targets, strict=True)
    ]
    sums = _Terms(*(torch.stack(values).sum() for values in zip(*of_pictures, strict=True)))
    quality, drawn = sums.quality.clamp(min=1), sums.drawn.clamp(min=1)
    return {
        "classes": WEIGHTS["classes"] * sums.classes / quality,
        "boxes": WEIGHTS["boxes"] * sums.boxes / quality,
        "masks": WEIGHTS["masks"] * sums.masks / drawn,
        "dice": WEIGHTS["dice"] * sums.dice / drawn,
    }


def quality_focal_loss(logits: Tensor, quality: Tensor) -> Tensor:
    """Return |q - σ(x)|² · BCE(x, q) of each value; with q of 0 and 1 it is the focal loss without α."""
    gap = (quality - logits.sigmoid()).abs() ** FOCUS
    return gap * F.binary_cross_entropy_with_logits(logits, quality, reduction="none")


def mask_losses(logits: Tensor, truth: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy and the Dice loss of n masks, (n,) each, over the pixels that are `inside`.

    `logits` and `truth` (the share of each pixel that is the object's) are (n, h, w) float, `inside` bool of that shape
    and true somewhere.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    chance, truth = logits.sigmoid() * inside, truth * inside
    over = (1, 2)
    shared, total = (chance * truth).sum(over), (chance**2).sum(over) + (truth**2).sum(over)
    return (entropy * inside).sum(over) / inside.sum(over), 1 - (2 * shared + 1) / (total + 1)


def choose_masks(owner: Tensor, quality: Tensor, most: int) -> Tensor:
    """Return the indices of at most `most` of m candidates, each object's best first, then each one's second …"""
    falling = quality.argsort(descending=True, stable=True)
    same = owner[falling, None] == owner[falling]
    rank = same.tril(diagonal=-1).sum(dim=1)
    return falling[rank.argsort(stable=True)[:most]]


def _terms(output: PrototypeOutput, target: Mapping[str, Tensor], cells: Cells, size: tuple[int, int]) -> _Terms:
    """Return the sums of one picture, whose output has no batch axis."""
    objects = Objects(target["boxes"].float(), target["labels"], target["crowd"].bool())
    given = assign(output.logits.sigmoid(), output.boxes, cells, objects)
    owned = (given.owner >= 0).nonzero().flatten()
    owner, quality = given.owner[owned], given.quality[owned]
    wanted = torch.zeros_like(output.logits)
    wanted[owned, objects.labels[owner]] = quality
    classes = quality_focal_loss(output.logits, wanted)[~given.ignored].sum()
    misfit = generalized_box_iou_loss(output.boxes[owned], objects.boxes[owner], reduction="none")
    drawn = owned[choose_masks(owner, quality, MASKS)]
    entropy, dice = _compare_masks(output, target["masks"], objects, given, drawn, size)
    share = given.quality[drawn]
    return _Terms(
        classes, (misfit * quality).sum(), (entropy * share).sum(), (dice * share).sum(), quality.sum(), share.sum()
    )


def _compare_masks(
    output: PrototypeOutput,
    masks: Tensor,
    objects: Objects,
    given: Assignment,
    drawn: Tensor,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Return both losses of the masks of the candidates `drawn`, against the true ones at the prototypes' resolution.

    There a pixel's target is the share of it that the object covers: masks are enlarged smoothly before they are cut
    at 0, which then falls where the outline is. A threshold would move it, and lose the smallest objects.
    """
    owner, grid = given.owner[drawn], (output.prototypes.shape[1], output.prototypes.shape[2])
    logits = torch.einsum("np,phw->nhw", output.coefficients[drawn], output.prototypes)
    known, index = torch.unique(owner, return_inverse=True)
    truth = F.adaptive_avg_pool2d(masks[known].float(), grid)[index]
    inside = pixels_in(objects.boxes[owner], grid, (size[0] / grid[0], size[1] / grid[1]))
    return mask_losses(logits, truth, inside)
