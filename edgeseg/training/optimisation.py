"""Optimisers, learning-rate schedules and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from edgeseg.config import OptimConfig, given
from edgeseg_runtime.errors import ConfigError

WARMUP_START = 0.01
WARMUP, ONE_CYCLE_WARMUP = 0.03, 0.3
POLY_POWER = 0.9
ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 25e4
"""Of the highest rate: where a single cycle begins, and where it ends (PyTorch's defaults)."""
TRUNKS = ("backbone", "encoder")
"""What a network calls the part that may come trained."""


def make_optimizer(net: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimiser; weight decay applies to weights of two or more dimensions only.

    With `trunk_lr` other than 1, the trunk's parameters are groups of their own. Raises ConfigError when the network
    has no part called so.
    """
    learnt = {name: value for name, value in net.named_parameters() if value.requires_grad}
    trunk = set(_of_trunk(net, learnt))
    if config.trunk_lr == 1:
        trunk = set()
    elif not trunk:
        raise ConfigError("--trunk-lr: this network has no backbone or encoder of its own; leave it away")
    groups: list[dict[str, Any]] = []
    for names, factor in ((learnt.keys() - trunk, 1.0), (trunk, config.trunk_lr)):
        values, rate = [value for name, value in learnt.items() if name in names], factor * given(config.lr)
        decayed, plain = [v for v in values if v.ndim > 1], [v for v in values if v.ndim <= 1]
        groups.append({"params": decayed, "weight_decay": config.weight_decay, "lr": rate})
        groups.append({"params": plain, "weight_decay": 0.0, "lr": rate})
    return _optimizer([group for group in groups if group["params"]], config)


def _of_trunk(net: nn.Module, names: Iterable[str]) -> list[str]:
    """Return the names of what may come trained: all below the part that a network in `net` calls its `trunk`, if any.

    A detector's backbone, for one, has a pyramid in it, which no weights of a classification network are for.
    """
    for owner, part in net.named_modules():
        if isinstance(trunk := getattr(part, "trunk", None), str):
            start = f"{owner}.{trunk}." if owner else f"{trunk}."
            return [name for name in names if name.startswith(start)]
    return [name for name in names if any(part in TRUNKS for part in name.split("."))]


def _optimizer(groups: list[dict[str, Any]], config: OptimConfig) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=given(config.lr), momentum=0.9)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=given(config.lr))


def learning_rate_factor(step: int, total: int, config: OptimConfig) -> float:
    """Return what the learning rate is multiplied by at `step` of `total`: a rise, then the schedule's fall.

    `onecycle`: Smith and Topin, "Super-Convergence", arXiv:1708.07120, with a cosine in place of lines.
    """
    one_cycle = config.schedule == "onecycle"
    share = (ONE_CYCLE_WARMUP if one_cycle else WARMUP) if config.warmup is None else config.warmup
    rising = round(share * total)
    if step < rising:
        done = step / rising
        return _cosine(ONE_CYCLE_START, 1, done) if one_cycle else WARMUP_START + (1 - WARMUP_START) * done
    progress = min(1.0, (step - rising) / max(1, total - rising))
    if config.schedule == "poly":
        return float((1 - progress) ** POLY_POWER)
    return _cosine(1, ONE_CYCLE_END if one_cycle else 0, progress)


def _cosine(start: float, end: float, progress: float) -> float:
    """Go from `start` to `end` along half a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))


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
