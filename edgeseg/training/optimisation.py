"""Optimisers, learning-rate schedules and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from edgeseg.config import OptimConfig, given

WARMUP_START = 0.01
POLY_POWER = 0.9


def make_optimizer(net: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimiser; weight decay applies to weights of two or more dimensions only."""
    decayed = [value for value in net.parameters() if value.requires_grad and value.ndim > 1]
    plain = [value for value in net.parameters() if value.requires_grad and value.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=given(config.lr), momentum=0.9)
    return torch.optim.AdamW(groups, lr=given(config.lr))


def learning_rate_factor(step: int, total: int, config: OptimConfig) -> float:
    """Return what the learning rate is multiplied by at `step` of `total`: a linear rise, then the schedule's fall."""
    rising = round(config.warmup * total)
    if step < rising:
        return WARMUP_START + (1 - WARMUP_START) * step / rising
    progress = min(1.0, (step - rising) / max(1, total - rising))
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return float((1 - progress) ** POLY_POWER)


def make_schedule(
    optimizer: torch.optim.Optimizer, total: int, config: OptimConfig
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return a schedule that is stepped once a training step."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, total, config))


def make_average(net: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of parameters and buffers; `decay` 0 follows the weights exactly.

    The decay grows as (1 + n) / (10 + n) up to its value, so that the average does not remember the random start.
    """
    return AveragedModel(net, multi_avg_fn=_ema(decay), use_buffers=True)


def _ema(decay: float) -> Callable[[Any, Any, Any], None]:
    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], count: Tensor | int) -> None:
        number = int(count)
        share = 1 - min(decay, (1 + number) / (10 + number))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), share)
            else:
                average.copy_(value)

    return update
