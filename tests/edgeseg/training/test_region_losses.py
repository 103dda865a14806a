from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from edgeseg.training.boundary_losses import boundary_f
from edgeseg.training.region_losses import lovasz_softmax

IGNORE = 255


def batch(seed: int, classes: int = 3, size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, classes, size, size, generator=generator)
    target = torch.randint(classes, (2, size, size), generator=generator)
    target[0, :2] = IGNORE
    return scores, target


def certain(mask: Tensor, classes: int) -> Tensor:
    """Scores that are sure of a mask."""
    return 100 * torch.nn.functional.one_hot(mask, classes).permute(0, 3, 1, 2).float()


def jaccard_loss(errors: set[int], members: set[int]) -> float:
    """1 - IoU of a class with `members` when the pixels in `errors` are wrong: equation 5 of the paper."""
    return len(errors) / len(members | errors) if members | errors else 0.0


def lovasz_by_its_definition(scores: Tensor, target: Tensor) -> float:
    """Sum over pixels, from the largest error down, of error × growth of the Jaccard loss as the pixel joins."""
    probabilities = scores.softmax(1)
    pixels = [(n, y, x) for n, y, x in np.ndindex(*target.shape) if target[n, y, x] != IGNORE]
    losses = []
    for index in sorted({int(target[pixel]) for pixel in pixels}):
        members = {at for at, pixel in enumerate(pixels) if target[pixel] == index}
        errors = [
            abs(float(at in members) - float(probabilities[n, index, y, x])) for at, (n, y, x) in enumerate(pixels)
        ]
        order = sorted(range(len(pixels)), key=lambda at: -errors[at])
        values = [jaccard_loss(set(order[:count]), members) for count in range(len(order) + 1)]
        losses.append(
            sum(errors[at] * (after - before) for at, (before, after) in zip(order, pairwise(values), strict=True))
        )
    return sum(losses) / len(losses)


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_lovasz_is_its_definition(seed: int) -> None:
    scores, target = batch(seed, size=4)
    assert float(lovasz_softmax(scores, target, IGNORE)) == pytest.approx(
        lovasz_by_its_definition(scores, target), abs=1e-5
    )


def test_lovasz_of_a_sure_answer_is_one_minus_its_iou() -> None:
    target = torch.tensor([[[0, 0, 1, 1]]])
    answer = torch.tensor([[[0, 1, 1, 1]]])
    # class 0: 1 of 2; class 1: 2 of 3
    assert float(lovasz_softmax(certain(answer, 2), target, IGNORE)) == pytest.approx(1 - (1 / 2 + 2 / 3) / 2, abs=1e-6)


def squares(*corners: int, size: int = 12) -> Tensor:
    mask = torch.zeros(len(corners), size, size, dtype=torch.long)
    for number, corner in enumerate(corners):
        mask[number, corner : corner + 5, corner : corner + 5] = 1
    return mask


def boundary_f_by_hand(answer: Tensor, truth: Tensor, classes: int) -> float:
    """F score of one-pixel boundaries found within two pixels, by SciPy's morphology."""
    window, reach = np.ones((1, 3, 3), bool), np.ones((1, 5, 5), bool)
    scores = []
    for index in range(classes):
        found, wanted = (
            mask & ndimage.binary_dilation(~mask, window) for mask in (answer.numpy() == index, truth.numpy() == index)
        )
        if wanted.any():
            precision = (found & ndimage.binary_dilation(wanted, reach)).sum() / max(found.sum(), 1)
            recall = (wanted & ndimage.binary_dilation(found, reach)).sum() / wanted.sum()
            scores.append(2 * precision * recall / max(precision + recall, 1e-9))
    return 1 - float(np.mean(scores))


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 5])
def test_boundary_f_of_a_sure_answer_is_that_of_its_boundaries(shift: int) -> None:
    truth, answer = squares(2, 4), squares(2 + shift, 4)
    loss = float(boundary_f(certain(answer, 2), truth, IGNORE))
    assert loss == pytest.approx(boundary_f_by_hand(answer, truth, 2), abs=1e-4)
    assert (loss < 1e-4) == (shift <= 2)  # two pixels are within reach


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_boundary_f_of_any_sure_answer(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    answer, truth = (torch.randint(3, (2, 9, 7), generator=generator) for _ in range(2))
    loss = float(boundary_f(certain(answer, 3), truth, IGNORE))
    assert loss == pytest.approx(boundary_f_by_hand(answer, truth, 3), abs=1e-4)


def test_boundary_f_has_a_gradient_that_moves_a_boundary_to_its_place() -> None:
    truth = squares(2)
    scores = (certain(squares(5), 2) / 50).requires_grad_()
    before = boundary_f(scores, truth, IGNORE)
    (gradient,) = torch.autograd.grad(before, scores)
    after = boundary_f(scores.detach() - 0.5 * gradient / gradient.abs().max(), truth, IGNORE)
    assert float(after) < float(before.detach())


@pytest.mark.parametrize("loss", [lovasz_softmax, boundary_f])
def test_ignored_pixels_change_nothing(loss: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    scores, target = batch(3)
    other = scores.clone()
    other[0, :, :2] += 5 * torch.randn(3, 2, 6)
    torch.testing.assert_close(loss(scores, target, IGNORE), loss(other, target, IGNORE))


@pytest.mark.parametrize("loss", [lovasz_softmax, boundary_f])
def test_a_batch_of_ignored_pixels_costs_nothing(loss: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    scores = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = loss(scores, torch.full((1, 4, 4), IGNORE), IGNORE)
    value.backward()  # type: ignore[no-untyped-call]
    assert float(value.detach()) == 0
    assert scores.grad is not None and torch.isfinite(scores.grad).all()
