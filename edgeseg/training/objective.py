"""What a run minimises, from its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from edgeseg.compress.distillation import Distiller
from edgeseg.config import TrainConfig
from edgeseg.data.base import IGNORE, SegmentationData
from edgeseg.training.enlarge import at_size_of
from edgeseg.training.losses import Loss, class_weights, make_loss

Objective: TypeAlias = Callable[[Tensor, Any, Tensor], Tensor]
"""From uint8 (N, H, W, 3) frames, what the module answers to them and (N, H, W) targets to what is minimised.

The answer is (N, C, h, w) scores; with deep supervision a list of them and of what each auxiliary head says.
"""


def make_criterion(config: TrainConfig, data: SegmentationData, device: torch.device) -> Loss:
    """Return the loss, its class weights counted over the training masks where it uses any."""
    weight = None
    if config.loss.class_weights != "none":
        pixels = (np.bincount(data.read(index).mask.ravel(), minlength=256) for index in range(len(data)))
        counts = np.stack([each[: len(data.labels)] for each in pixels])
        values = class_weights(counts, config.loss.class_weights)
        weight = torch.tensor(values, device=device)
    return make_loss(config.loss, IGNORE, weight)


def make_objective(criterion: Loss, distiller: Distiller | None, fabric: Fabric) -> Objective:
    """Return the loss at the targets' size, with what the teacher adds to it where there is one."""

    def objective(frames: Tensor, scores: Tensor, target: Tensor) -> Tensor:
        loss = criterion(at_size_of(target, scores), target.long())
        if distiller is None:
            return loss
        with fabric.autocast():
            return loss + distiller(frames, scores)

    return objective
