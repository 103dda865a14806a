from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from edgeseg.config import LOSSES, LossConfig, loss_terms
from edgeseg.training.losses import class_weights, make_loss
from edgeseg.training.pixel_losses import cross_entropy, focal, ohem_cross_entropy
from edgeseg.training.region_losses import dice
from edgeseg_runtime.errors import ConfigError

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


@pytest.mark.parametrize("kind", [*LOSSES, "ce+0.5*dice"])
def test_a_batch_of_ignored_pixels_costs_nothing_and_has_finite_gradients(kind: str) -> None:
    scores = torch.randn(1, 3, 4, 4, requires_grad=True)
    target = torch.full((1, 4, 4), IGNORE)
    loss = make_loss(LossConfig(loss=kind), IGNORE, None)(scores, target)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("kind", [*LOSSES, "ce+0.5*dice"])
def test_ignored_pixels_change_nothing(kind: str) -> None:
    scores, target = batch(3)
    loss = make_loss(LossConfig(loss=kind), IGNORE, None)
    other = scores.clone()
    other[0, :, :2] += 5 * torch.randn(4, 2, 7)
    torch.testing.assert_close(loss(scores, target), loss(other, target))


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
@pytest.mark.parametrize("weighted", [False, True])
def test_label_smoothing_is_pytorchs(smoothing: float, weighted: bool) -> None:
    scores, target = batch(5)
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0]) if weighted else None
    expected = F.cross_entropy(scores, target, weight=weight, ignore_index=IGNORE, label_smoothing=smoothing)
    config = LossConfig("ce", label_smoothing=smoothing)
    torch.testing.assert_close(make_loss(config, IGNORE, weight)(scores, target), expected)


def test_focal_by_hand() -> None:
    truth = torch.tensor([0.9, 0.5])
    scores = torch.stack([truth, 1 - truth]).log().reshape(1, 2, 1, 2)
    target = torch.zeros(1, 1, 2, dtype=torch.long)
    expected = -(0.1**2 * math.log(0.9) + 0.5**2 * math.log(0.5)) / 2
    assert float(focal(scores, target, IGNORE, gamma=2)) == pytest.approx(expected, rel=1e-5)


@given(seed=st.integers(0, 1000), gamma=st.sampled_from([0.0, 0.5, 2.0]))
@settings(deadline=None, max_examples=25)
def test_focal_against_torchvisions_for_two_classes(seed: int, gamma: float) -> None:
    scores, target = batch(seed, classes=2)
    valid = target != IGNORE
    margin = (scores[:, 1] - scores[:, 0])[valid]  # a softmax over two scores is a sigmoid of their difference
    expected = sigmoid_focal_loss(margin, target[valid].float(), alpha=-1, gamma=gamma, reduction="mean")
    torch.testing.assert_close(focal(scores, target, IGNORE, gamma=gamma), expected)


def test_focal_without_focus_is_weighted_cross_entropy() -> None:
    scores, target = batch(2)
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0])
    expected = F.cross_entropy(scores, target, weight=weight, ignore_index=IGNORE)
    torch.testing.assert_close(focal(scores, target, IGNORE, weight, gamma=0), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_of_a_sure_and_right_answer_has_a_finite_gradient(gamma: float) -> None:
    scores = torch.tensor([200.0, 0.0]).reshape(1, 2, 1, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(
        focal(scores, torch.zeros(1, 1, 1, dtype=torch.long), IGNORE, gamma=gamma), scores
    )
    assert torch.isfinite(gradient).all()


def test_a_sum_is_the_weighted_sum_of_its_terms() -> None:
    scores, target = batch(4)
    parts = [make_loss(LossConfig(name), IGNORE, None)(scores, target) for name in ("ce", "lovasz", "boundary")]
    total = make_loss(LossConfig("0.5*ce + lovasz + 2*boundary"), IGNORE, None)(scores, target)
    torch.testing.assert_close(total, 0.5 * parts[0] + parts[1] + 2 * parts[2])


@pytest.mark.parametrize(
    "text", ["", "mse", "ce+", "x*ce", "-1*ce", "0*ce", "nan*ce", "inf*ce", "ce+ce", "ce*2", "2*3*ce"]
)
def test_sums_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--loss .*" + re.escape(repr(text))):
        loss_terms(text)


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


@given(seed=st.integers(0, 1000), threshold=st.sampled_from([0.0, 0.3, 1.0]))
@settings(deadline=None, max_examples=25)
def test_ohem_that_keeps_all_is_weighted_cross_entropy(seed: int, threshold: float) -> None:
    scores, target = batch(seed)
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0])
    expected = F.cross_entropy(scores, target, weight=weight, ignore_index=IGNORE)
    torch.testing.assert_close(ohem_cross_entropy(scores, target, IGNORE, weight, threshold, keep=1), expected)


def test_ohem_with_class_weights_by_hand() -> None:
    truth = torch.tensor([0.99, 0.5, 0.2])
    scores = torch.stack([torch.tensor([0.99, 0.5, 0.8]), 1 - torch.tensor([0.99, 0.5, 0.8])]).log()
    target = torch.tensor([[[0, 0, 1]]])  # the last pixel's true class, the second, has .2
    expected = -(1 * math.log(truth[1]) + 3 * math.log(truth[2])) / (1 + 3)
    loss = ohem_cross_entropy(scores.reshape(1, 2, 1, 3), target, IGNORE, torch.tensor([1.0, 3.0]), 0.7, 0.01)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_class_weights_by_hand() -> None:
    assert class_weights(np.array([[1, 1]]), "none") is None
    # shares of all 200 pixels .3, .3, .4
    counts = np.array([[60, 40, 0], [0, 20, 80]])
    raw = [1 / math.log(1.02 + value) for value in (0.3, 0.3, 0.4)]
    assert class_weights(counts, "log") == pytest.approx([value / (sum(raw) / 3) for value in raw])
    # of the pictures that hold them .6, .3, .8: the median is .6, so 1, 2, .75 before they are scaled to a mean of 1
    assert class_weights(counts, "median") == pytest.approx(np.array([1, 2, 0.75]) / 1.25)


@pytest.mark.parametrize("kind", ["median", "log"])
def test_a_class_that_never_occurs_has_weight_one(kind: str) -> None:
    weights = class_weights(np.array([[10, 0, 90]]), kind)
    assert weights is not None
    assert weights[1] == 1
    assert np.isfinite(weights).all()


@pytest.mark.parametrize("kind", ["median", "log"])
def test_pictures_without_any_class_weigh_all_alike(kind: str) -> None:
    assert class_weights(np.zeros((2, 3), np.int64), kind) == [1, 1, 1]
