from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.training.boundary_losses import boundaries, boundary_loss

IGNORE = 255


@given(st.integers(0, 10_000))
def test_a_boundary_is_where_another_class_is_a_neighbour(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(3, (1, 6, 7), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.1] = IGNORE
    found, valid = boundaries(target, IGNORE)
    for row in range(6):
        for column in range(7):
            around = target[0, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            known = not bool((around == IGNORE).any())
            assert bool(valid[0, row, column]) == known
            assert bool(found[0, row, column]) == (known and len(set(around.flatten().tolist())) > 1)


def test_the_right_answer_costs_nothing_and_the_wrong_one_much() -> None:
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[:, :, 4:] = 1
    truth = boundaries(target, IGNORE)[0].unsqueeze(1)
    assert float(truth.sum()) == 16
    right, wrong = ((2 * truth - 1) * sign * 50 for sign in (1, -1))
    assert float(boundary_loss(right, target, IGNORE)) == pytest.approx(0, abs=1e-6)
    assert float(boundary_loss(wrong, target, IGNORE)) > 10


def test_it_is_cross_entropy_plus_dice_by_hand() -> None:
    target = torch.tensor([[[0, 0, 0, 1]]])  # the last two of four are boundary
    scores = torch.zeros(1, 1, 1, 4)  # a half everywhere
    assert float(boundary_loss(scores, target, IGNORE)) == pytest.approx(
        0.693147 + 1 - (2 * 1 + 1) / (2 + 2 + 1), rel=1e-5
    )


def test_what_is_ignored_does_not_count_and_all_ignored_is_finite() -> None:
    target = torch.zeros(1, 8, 8, dtype=torch.long)
    target[:, :, 4:] = 1
    target[:, :, 6:] = IGNORE
    scores = torch.randn(1, 1, 8, 8)
    changed = scores.clone()
    changed[:, :, :, 5:] = 30
    torch.testing.assert_close(boundary_loss(scores, target, IGNORE), boundary_loss(changed, target, IGNORE))
    nothing = boundary_loss(scores.requires_grad_(), torch.full_like(target, IGNORE), IGNORE)
    assert torch.isfinite(nothing)
