from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy
from torch import Tensor, nn

from edgeseg.compress.distillation import (
    Distiller,
    attention_loss,
    channel_loss,
    check_teacher,
    logits_loss,
    match_size,
)
from edgeseg.config import DistillationConfig
from edgeseg.models import build
from edgeseg_export.deployable import Deployable
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import ConfigError

Loss = Callable[[Tensor, Tensor, float], Tensor]
COLOURS = [(0, 0, 0), (255, 0, 0), (0, 255, 0)]
CONTRACT = Contract(tuple(Label(f"c{i}", colour) for i, colour in enumerate(COLOURS)), 64, 64)


def scores(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TestLogits:
    def test_two_classes_by_hand(self) -> None:
        # the teacher says 3/4 : 1/4, the student 1/2 : 1/2, at one pixel and temperature 1
        teacher = torch.tensor([math.log(3), 0.0]).reshape(1, 2, 1, 1)
        expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
        assert logits_loss(torch.zeros(1, 2, 1, 1), teacher, 1.0).item() == pytest.approx(expected)

    @given(st.integers(0, 1000), st.floats(0.5, 8))
    def test_is_scipys_divergence(self, seed: int, temperature: float) -> None:
        student, teacher = scores(seed, 2, 3, 4, 5), scores(seed + 1, 2, 3, 4, 5)
        p, q = (softmax(item.double().numpy() / temperature, axis=1) for item in (teacher, student))
        expected = temperature**2 * np.mean(entropy(p, q, axis=1))
        assert logits_loss(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


class TestChannel:
    def test_two_pixels_by_hand(self) -> None:
        # one class; the teacher sees it three times as likely in the left pixel, the student sees no difference
        teacher = torch.tensor([math.log(3), 0.0]).reshape(1, 1, 1, 2)
        expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
        assert channel_loss(torch.zeros(1, 1, 1, 2), teacher, 1.0).item() == pytest.approx(expected)

    @given(st.integers(0, 1000), st.floats(0.5, 8))
    def test_is_scipys_divergence(self, seed: int, temperature: float) -> None:
        student, teacher = scores(seed, 2, 3, 4, 5), scores(seed + 1, 2, 3, 4, 5)
        p, q = (softmax(item.double().flatten(2).numpy() / temperature, axis=2) for item in (teacher, student))
        expected = temperature**2 * np.mean(entropy(p, q, axis=2))
        assert channel_loss(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)

    def test_a_constant_added_to_a_class_changes_nothing(self) -> None:
        student, teacher = scores(0, 1, 3, 4, 4), scores(1, 1, 3, 4, 4)
        shifted = teacher + torch.tensor([5.0, -2.0, 0.5]).reshape(1, 3, 1, 1)
        assert torch.allclose(channel_loss(student, shifted, 2.0), channel_loss(student, teacher, 2.0), atol=1e-5)


class TestAttention:
    def test_two_pixels_by_hand(self) -> None:
        student = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)  # looks left
        teacher = torch.tensor([[0.0, 3.0], [0.0, 4.0]]).reshape(1, 2, 1, 2)  # looks right, with two channels
        assert attention_loss(student, teacher).item() == pytest.approx(2.0)

    def test_neither_scale_nor_the_number_of_channels_matters(self) -> None:
        features = scores(0, 2, 4, 3, 3)
        assert attention_loss(features, 7 * features.repeat(1, 2, 1, 1)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [logits_loss, channel_loss])
def test_agreement_is_zero_and_the_gradient_points_to_the_teacher(loss: Loss) -> None:
    student, teacher = scores(0, 2, 3, 4, 4).requires_grad_(), scores(1, 2, 3, 4, 4)
    assert loss(teacher, teacher, 3.0).item() == pytest.approx(0, abs=1e-6)
    before = loss(student, teacher, 3.0)
    before.backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    after = loss(student.detach() - 0.1 * student.grad, teacher, 3.0)
    assert 0 < after.item() < before.item()


def test_sizes_are_matched_by_averaging_or_interpolation() -> None:
    fine = scores(0, 1, 2, 4, 6)
    coarse = match_size(fine, torch.empty(1, 5, 2, 3))
    assert torch.allclose(coarse, fine.reshape(1, 2, 2, 2, 3, 2).mean(dim=(3, 5)))
    assert match_size(coarse, fine).shape == fine.shape
    assert match_size(fine, fine) is fine


class TestDistiller:
    @pytest.mark.parametrize("what", ["logits", "channel", "features"])
    def test_a_student_equal_to_its_teacher_has_nothing_to_learn(self, what: str) -> None:
        net = build("fast_scnn", 3, (64, 64)).eval()
        student, teacher = Deployable(net, CONTRACT), Deployable(build("fast_scnn", 3, (64, 64)), CONTRACT)
        teacher.net.load_state_dict(net.state_dict())
        distiller = Distiller(DistillationConfig(distill=what, temperature=2.0), student.net, teacher)  # type: ignore[arg-type]
        frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
        assert distiller(frames, student.scores(frames)).item() == pytest.approx(0, abs=1e-4)

    @pytest.mark.parametrize("what", ["logits", "channel", "features"])
    def test_only_the_student_learns_and_the_weight_counts(self, what: str) -> None:
        student = Deployable(build("fast_scnn", 3, (64, 64)), CONTRACT)
        teacher = Deployable(build("unet", 3, (64, 64)), CONTRACT)  # scores twice as fine in each direction
        frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
        losses = []
        for weight in (1.0, 4.0):
            config = DistillationConfig(distill=what, temperature=2.0, distill_weight=weight)  # type: ignore[arg-type]
            distiller = Distiller(config, student.net, teacher)
            student.eval()
            losses.append(distiller(frames, student.scores(frames)))
        assert losses[1].item() == pytest.approx(4 * losses[0].item(), rel=1e-5)
        losses[1].backward()  # type: ignore[no-untyped-call]
        assert all(value.grad is None for value in teacher.parameters())
        last = [module for module in student.net.modules() if isinstance(module, nn.Conv2d)][-1]
        assert last.weight.grad is not None and last.weight.grad.abs().sum() > 0
        assert not teacher.training


def test_a_teacher_of_other_classes() -> None:
    teacher = Deployable(build("fast_scnn", 3, (64, 64)), CONTRACT)
    check_teacher(teacher.contract.names, ("c0", "c1", "c2"))
    with pytest.raises(ConfigError, match="--teacher knows the classes c0, c1, c2; they must be those of the pictures"):
        check_teacher(teacher.contract.names, ("c0", "c2", "c1"))
