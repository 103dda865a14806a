"""Distillation: a small network learns from the answers of a better one, beside the labels.

Scores are (N, C, h, w) float. Each loss is 0 where student and teacher agree and does not depend on the batch's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.config import DistillationConfig, given
from edgeseg_export.deployable import Deployable
from edgeseg_runtime.errors import ConfigError


def logits_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean over pixels of T² KL(teacher ‖ student) between softened class probabilities.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531, at every pixel.
    """
    told = (student / temperature).log_softmax(dim=1)
    truth = (teacher / temperature).log_softmax(dim=1)
    divergence = F.kl_div(told, truth, reduction="none", log_target=True).sum(dim=1)
    return temperature**2 * divergence.mean()


def channel_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean over classes of T² KL(teacher ‖ student) between each class's map, softened to a distribution over pixels.

    Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, arXiv:2011.13256, equation 4.
    """
    told = (student.flatten(2) / temperature).log_softmax(dim=2)
    truth = (teacher.flatten(2) / temperature).log_softmax(dim=2)
    divergence = F.kl_div(told, truth, reduction="none", log_target=True).sum(dim=2)
    return temperature**2 * divergence.mean()


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over pictures of the squared distance between the networks' normalised attention maps.

    A map is Σ_c F_c², scaled to length 1 over its pixels: it says where features are strong, whatever their number,
    so the two networks need no layer between them. Zagoruyko and Komodakis, "Paying More Attention to Attention",
    ICLR 2017, arXiv:1612.03928.
    """
    maps = [F.normalize(features.square().sum(dim=1).flatten(1), dim=1) for features in (student, teacher)]
    return (maps[0] - maps[1]).square().sum(dim=1).mean()


def match_size(values: Tensor, reference: Tensor) -> Tensor:
    """Resize the teacher's values to the student's grid: averaged where it is coarser, bilinear where it is finer."""
    size = reference.shape[-2:]
    if values.shape[-2:] == size:
        return values
    if values.shape[-2] >= size[0] and values.shape[-1] >= size[1]:
        return F.interpolate(values, size=size, mode="area")
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)


class Distiller:
    """Holds the teacher and compares the student with it, step by step."""

    def __init__(self, config: DistillationConfig, student: nn.Module, teacher: Deployable) -> None:
        """Watch `student`, a network that is being trained. Raises ConfigError when the teacher knows other classes."""
        self.config, self.teacher = config, teacher.eval().requires_grad_(False)
        self._seen: dict[str, Tensor] = {}
        if config.distill == "features":
            self._watch("student", student)
            self._watch("teacher", teacher.net)

    def __call__(self, frames: Tensor, scores: Tensor) -> Tensor:
        """Return the weighted loss of the student's `scores` for uint8 (N, H, W, 3) frames it has just been given."""
        with torch.no_grad():
            told = match_size(self.teacher.scores(frames).float(), scores)
        student, config = scores.float(), self.config
        compare = logits_loss if config.distill == "logits" else channel_loss
        loss = compare(student, told, given(config.temperature))
        if config.distill == "features":
            features = self._seen["student"].float()
            loss = loss + attention_loss(features, match_size(self._seen["teacher"].float(), features))
        return config.distill_weight * loss

    def _watch(self, who: str, net: nn.Module) -> None:
        def remember(_module: nn.Module, inputs: Sequence[Any]) -> None:
            self._seen[who] = inputs[0]

        last = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
        last.register_forward_pre_hook(remember)


def check_teacher(known: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Raise ConfigError unless the classes that a teacher knows are `names`, in this order."""
    if known != names:
        raise ConfigError(
            f"--teacher knows the classes {', '.join(known)}; they must be those of the pictures, "
            f"in the same order: {', '.join(names)}"
        )
