from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgeseg.config import LossConfig
from edgeseg.training.losses import class_weights, cross_entropy, dice, make_loss, ohem_cross_entropy

IGNORE = 255


def batch(seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, classes, 5, 7, generator=generator)
    target = torch.randint(classes, (2, 5, 7), generator=generator)
    target[0, :2] = IGNORE
    return scores, target


@given(seed=st.integers(0, 1000), weighted=st.booleans())
@settings(deadline=None, max_examples=25)
def test_cross_entropy_is_pytorchs(seed: int, weighted: bool) -> None:
    scores, target = batch(seed)
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0]) if weighted else None
    expected = F.cross_entropy(scores, target, weight=weight, ignore_index=IGNORE)
    torch.testing.assert_close(cross_entropy(scores, target, IGNORE, weight), expected)


@pytest.mark.parametrize("kind", ["ce", "dice", "ce+dice", "ohem"])
def test_a_batch_of_ignored_pixels_costs_nothing_and_has_finite_gradients(kind: str) -> None:
    scores = torch.randn(1, 3, 4, 4, requires_grad=True)
    target = torch.full((1, 4, 4), IGNORE)
    loss = make_loss(LossConfig(loss=kind), IGNORE, None)(scores, target)  # type: ignore[arg-type]
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("kind", ["ce", "dice", "ce+dice", "ohem"])
def test_ignored_pixels_change_nothing(kind: str) -> None:
    scores, target = batch(3)
    loss = make_loss(LossConfig(loss=kind), IGNORE, None)  # type: ignore[arg-type]
    other = scores.clone()
    other[0, :, :2] += 5 * torch.randn(4, 2, 7)
    torch.testing.assert_close(loss(scores, target), loss(other, target))


def test_dice_by_hand() -> None:
    # two pixels, two classes, p(true) = .9 and .6: class 0: 2·.9/(.9+.4+1), class 1: 2·.6/(.1+.6+1)
    probabilities = torch.tensor([[0.9, 0.4], [0.1, 0.6]])
    scores = probabilities.log().reshape(1, 2, 1, 2)
    target = torch.tensor([[[0, 1]]])
    expected = 1 - (1.8 / 2.3 + 1.2 / 1.7) / 2
    assert float(dice(scores, target, IGNORE)) == pytest.approx(expected, abs=1e-6)


def test_dice_leaves_absent_classes_out() -> None:
    scores = torch.zeros(1, 3, 2, 2)
    scores[:, 0] = 50
    assert float(dice(scores, torch.zeros(1, 2, 2, dtype=torch.long), IGNORE)) == pytest.approx(0, abs=1e-6)


def test_ohem_averages_the_hard_pixels_only() -> None:
    truth = torch.tensor([0.99, 0.8, 0.5, 0.1])
    scores = torch.stack([truth, 1 - truth]).log().reshape(1, 2, 1, 4)
    target = torch.zeros(1, 1, 4, dtype=torch.long)
    expected = -(math.log(0.5) + math.log(0.1)) / 2
    assert float(ohem_cross_entropy(scores, target, IGNORE, threshold=0.7, keep=0.25)) == pytest.approx(expected)


def test_ohem_keeps_the_hardest_share_when_all_are_easy() -> None:
    truth = torch.tensor([0.99, 0.98, 0.97, 0.96])
    scores = torch.stack([truth, 1 - truth]).log().reshape(1, 2, 1, 4)
    target = torch.zeros(1, 1, 4, dtype=torch.long)
    expected = -(math.log(0.97) + math.log(0.96)) / 2
    assert float(ohem_cross_entropy(scores, target, IGNORE, threshold=0.7, keep=0.5)) == pytest.approx(
        expected, rel=1e-5
    )


def test_class_weights_by_hand() -> None:
    assert class_weights([1, 1], "none") is None
    # frequencies .1, .3, .6: the median is .3, so 3, 1, .5 before they are scaled to a mean of 1
    median = class_weights([10, 30, 60], "median")
    assert median == pytest.approx(np.array([3, 1, 0.5]) / 1.5)
    raw = [1 / math.log(1.02 + value) for value in (0.1, 0.3, 0.6)]
    assert class_weights([10, 30, 60], "log") == pytest.approx([value / (sum(raw) / 3) for value in raw])


@pytest.mark.parametrize("kind", ["median", "log"])
def test_a_class_that_never_occurs_has_weight_one(kind: str) -> None:
    weights = class_weights([10, 0, 90], kind)
    assert weights is not None
    assert weights[1] == 1
    assert np.isfinite(weights).all()
