from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from edgeseg.models.instances.cells import make_cells
from edgeseg.models.instances.outputs import PrototypeOutput
from edgeseg.training.instances.losses import (
    WEIGHTS,
    choose_masks,
    mask_losses,
    prototype_losses,
    quality_focal_loss,
)

SIZE = (64, 96)
CENTRES, STRIDES = make_cells(SIZE)
CLASSES = 2


def target(*rows: tuple[int, int, int, int, int], crowd: tuple[bool, ...] | None = None) -> dict[str, Tensor]:
    """Return the truth about filled boxes: left, top, right, bottom, label."""
    masks = np.zeros((len(rows), *SIZE), np.uint8)
    for mask, (left, top, right, bottom, _) in zip(masks, rows, strict=True):
        mask[top:bottom, left:right] = 1
    return {
        "boxes": torch.tensor([row[:4] for row in rows], dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor([row[4] for row in rows], dtype=torch.int64),
        "masks": torch.from_numpy(masks),
        "crowd": torch.tensor(crowd or (False,) * len(rows), dtype=torch.bool),
    }


def guess(pictures: int = 1) -> PrototypeOutput:
    """Return what an untrained network might give, with gradients."""
    torch.manual_seed(0)
    reach = (2 * STRIDES)[:, None].expand(-1, 2)
    boxes = torch.cat([CENTRES - reach, CENTRES + reach], dim=1).expand(pictures, -1, -1).clone()
    output = PrototypeOutput(
        boxes,
        torch.randn(pictures, len(CENTRES), CLASSES) - 4,
        torch.randn(pictures, len(CENTRES), 4),
        torch.randn(pictures, 4, 16, 24),
    )
    for part in output:
        part.requires_grad_()
    return output


@given(st.integers(0, 1000))
def test_with_hard_targets_it_is_the_focal_loss(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(20, 3, generator=draw)
    quality = (torch.rand(20, 3, generator=draw) < 0.3).float()
    assert torch.allclose(
        quality_focal_loss(logits, quality), sigmoid_focal_loss(logits, quality, alpha=-1, gamma=2), atol=1e-6
    )


def test_a_soft_target_that_is_met_costs_nothing() -> None:
    quality = torch.tensor([0.2, 0.5, 0.9])
    logits = torch.logit(quality)
    assert torch.allclose(quality_focal_loss(logits, quality), torch.zeros(3), atol=1e-6)
    assert quality_focal_loss(torch.zeros(1), torch.tensor([0.9])) == pytest.approx(0.16 * log(2), rel=1e-5)


def test_mask_losses_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0], [9.0, -9.0]]])
    truth = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    inside = torch.tensor([[[True, True], [False, False]]])
    entropy, dice = mask_losses(logits, truth, inside)
    assert entropy.tolist() == pytest.approx([log(2)])
    # chances ½ and ½, truth 1 and 0: 1 - (2 · ½ + 1) / (½ + 1 + 1)
    assert dice.tolist() == pytest.approx([1 - 2 / 2.5])


def test_masks_of_every_object_come_before_second_ones() -> None:
    owner = torch.tensor([0, 0, 0, 1, 2, 2])
    quality = torch.tensor([0.9, 0.8, 0.7, 0.1, 0.3, 0.5])
    assert choose_masks(owner, quality, 3).tolist() == [0, 5, 3]
    assert choose_masks(owner, quality, 5).tolist() == [0, 5, 3, 1, 4]
    assert choose_masks(owner, quality, 99).tolist() == [0, 5, 3, 1, 4, 2]
    assert choose_masks(owner[:0], quality[:0], 4).tolist() == []


def test_the_terms_are_finite_and_every_output_learns() -> None:
    output = guess(2)
    terms = prototype_losses(output, [target((8, 8, 40, 40, 0), (50, 30, 90, 60, 1)), target()], SIZE)
    assert terms.keys() == WEIGHTS.keys()
    assert all(value.shape == () and float(value.detach()) > 0 for value in terms.values())
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    for part in output:
        assert part.grad is not None and torch.isfinite(part.grad).all() and part.grad.abs().sum() > 0
    assert output.boxes.grad is not None and output.boxes.grad[1].abs().sum() == 0


def test_pictures_without_objects_only_say_what_is_nothing() -> None:
    output = guess(2)
    terms = prototype_losses(output, [target(), target((0, 0, 96, 64, 0), crowd=(True,))], SIZE)
    assert [float(terms[name].detach()) for name in ("boxes", "masks", "dice")] == [0, 0, 0]
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert output.logits.grad is not None
    assert (output.logits.grad[0] > 0).all()
    excused = output.logits.grad[1, :, 0] == 0  # of the crowd's class, boxes that lie in the picture for the most part
    assert excused.float().mean() > 0.8 and (output.logits.grad[1, :, 1] > 0).all()


def test_what_is_right_costs_nearly_nothing() -> None:
    truth = target((8, 8, 40, 40, 0), (48, 16, 88, 56, 1))
    logits, boxes = torch.full((1, len(CENTRES), CLASSES), -20.0), guess().boxes.detach()
    coefficients, inside = torch.zeros(1, len(CENTRES), 2), torch.zeros(len(CENTRES), dtype=torch.bool)
    prototypes = 40 * F.adaptive_avg_pool2d(truth["masks"][None].float(), (16, 24)) - 20
    for index in range(2):
        left, top, right, bottom = truth["boxes"][index].tolist()
        cells = (CENTRES[:, 0] > left) & (CENTRES[:, 0] < right) & (CENTRES[:, 1] > top) & (CENTRES[:, 1] < bottom)
        boxes[0, cells], coefficients[0, cells, index] = truth["boxes"][index], 1.0
        first = cells.nonzero()[:13]  # all fit equally well: of these, the surest learn
        logits[0, first, index], inside[first] = 20.0, True
    terms = prototype_losses(PrototypeOutput(boxes, logits, coefficients, prototypes), [truth], SIZE)
    assert all(float(value) < 1e-3 for value in terms.values()), terms
    moved = prototype_losses(PrototypeOutput(boxes + 4, logits, coefficients, prototypes), [truth], SIZE)
    assert float(moved["boxes"]) > 0.3
    swapped = PrototypeOutput(boxes, logits, coefficients.flip(-1), prototypes)
    assert float(prototype_losses(swapped, [truth], SIZE)["dice"]) > 0.5


def test_a_batch_is_its_pictures_together() -> None:
    output, truths = guess(2), [target((8, 8, 40, 40, 0)), target((50, 30, 90, 60, 1), (3, 3, 6, 6, 0))]
    both = prototype_losses(output, truths, SIZE)
    swapped = PrototypeOutput(*(part.flip(0) for part in output))
    again = prototype_losses(swapped, truths[::-1], SIZE)
    for name in WEIGHTS:
        assert torch.allclose(both[name], again[name], rtol=1e-5)


def test_half_precision_is_summed_in_float32() -> None:
    output = PrototypeOutput(*(part.detach().bfloat16() for part in guess()))
    for value in prototype_losses(output, [target((8, 8, 40, 40, 0))], SIZE).values():
        assert value.dtype == torch.float32 and torch.isfinite(value)


def test_targets_that_do_not_belong_to_the_output_are_refused() -> None:
    with pytest.raises(ValueError, match="1 pictures of 126 candidates with 2 targets"):
        prototype_losses(guess(), [target(), target()], SIZE)
    with pytest.raises(ValueError, match="for inputs of 64×64"):
        prototype_losses(guess(), [target()], (64, 64))
