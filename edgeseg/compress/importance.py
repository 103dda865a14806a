"""How much a channel matters, by four criteria.

A channel is removed from every layer that it runs through at once: where features are added or multiplied, several
layers make it. Each criterion looks at the layers that make it and gives one number a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from edgeseg_runtime.errors import ConfigError

Criterion = Literal["l1", "bn", "fpgm", "taylor"]
Losses = Callable[[nn.Module], Iterable[Tensor]]
"""Yields the loss of a network on one batch after another."""


@dataclass(frozen=True)
class Member:
    """A layer with outputs among a set of channels that can only be removed together."""

    layer: nn.Module
    own: list[int]
    """Indices of the layer's outputs …"""
    channels: list[int]
    """… and of the channels that they are."""


Members = Sequence[Member]


def importance(places: Sequence[Members], widths: Sequence[int], criterion: Criterion) -> list[Tensor | None]:
    """Return the (width,) importance of the channels of each place; None where the criterion finds nothing to judge by.

    Over the channels of a place the mean is 1, as the weights of different layers do not compare.

    - `l1`: sum of a filter's absolute weights (Li et al., ICLR 2017, arXiv:1608.08710).
    - `bn`: absolute scale of the batch normalisation (Liu et al., ICCV 2017, arXiv:1708.06519).
    - `fpgm`: sum of a filter's Euclidean distances to the layer's others, small where the others can replace it
      (He et al., CVPR 2019, arXiv:1811.00250).
    """
    judge = {"l1": _l1, "bn": _scale, "fpgm": _distances}[criterion]
    with torch.no_grad():
        return [_over_layers(members, width, judge) for members, width in zip(places, widths, strict=True)]


def taylor(net: nn.Module, places: Sequence[Members], widths: Sequence[int], losses: Losses) -> list[Tensor | None]:
    """Return the (width,) importance by the first-order estimate of how the loss would change without a channel.

    It compares between places as it is: per batch the square of Σ gradient × parameter over the batch normalisations
    that give the channel its scale and shift, or over the filters where there are none; the mean over the batches
    (Molchanov et al., CVPR 2019, arXiv:1906.10771, equations 8 and 10). Raises ConfigError when there is no batch.
    """
    totals: list[Tensor | None] = [None] * len(places)
    batches = 0
    for loss in losses(net):
        batches += 1
        net.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for index, (members, width) in enumerate(zip(places, widths, strict=True)):
                change = _loss_change(members, width)
                if change is not None:
                    before = totals[index]
                    totals[index] = change**2 if before is None else before + change**2
    net.zero_grad()
    if not batches:
        raise ConfigError("the criterion taylor needs at least one batch of labelled pictures")
    return [None if total is None else total / batches for total in totals]


def _over_layers(members: Members, width: int, judge: Callable[[nn.Module], Tensor | None]) -> Tensor | None:
    """Return the mean over the layers of what `judge` says of their outputs, each layer brought to a mean of 1."""
    parts = []
    for member in members:
        judged = judge(member.layer)
        if judged is not None:
            parts.append(_spread(_relative(judged), member, width))
    return _relative(torch.stack(parts).mean(dim=0)) if parts else None


def _l1(layer: nn.Module) -> Tensor | None:
    return layer.weight.abs().flatten(1).sum(dim=1) if isinstance(layer, (nn.Conv2d, nn.Linear)) else None


def _scale(layer: nn.Module) -> Tensor | None:
    return layer.weight.abs() if isinstance(layer, nn.BatchNorm2d) and layer.affine else None


def _distances(layer: nn.Module) -> Tensor | None:
    if not isinstance(layer, (nn.Conv2d, nn.Linear)):
        return None
    filters = layer.weight.flatten(1)
    # the short way over products would leave duplicates at a distance of rounding errors
    return torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist").sum(dim=1)


def _loss_change(members: Members, width: int) -> Tensor | None:
    norms = [member for member in members if isinstance(member.layer, nn.BatchNorm2d) and member.layer.affine]
    chosen = norms or [member for member in members if isinstance(member.layer, (nn.Conv2d, nn.Linear))]
    parts = []
    for member in chosen:
        parameters = [member.layer.weight, member.layer.bias]
        products = [
            (parameter * parameter.grad).flatten(1).sum(dim=1) if parameter.dim() > 1 else parameter * parameter.grad
            for parameter in parameters
            if isinstance(parameter, Tensor) and parameter.grad is not None
        ]
        if products:
            parts.append(_spread(torch.stack(products).sum(dim=0), member, width))
    return torch.stack(parts).sum(dim=0) if parts else None


def _spread(values: Tensor, member: Member, width: int) -> Tensor:
    """Return (width,) values of the channels from those of a layer's outputs."""
    own = torch.tensor(member.own, device=values.device)
    channels = torch.tensor(member.channels, device=values.device)
    return values.new_zeros(width).index_add_(0, channels, values[own])


def _relative(values: Tensor) -> Tensor:
    mean = values.mean()
    return values / mean if mean > 0 else values
