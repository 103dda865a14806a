"""What a network costs: parameters, and multiply-accumulates counted without computing anything."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgeseg.models.instances.registry import build_instance
from edgeseg.models.registry import build


@dataclass(frozen=True)
class Cost:
    """Size and work of one network."""

    parameters: int
    """Values that training changes."""
    macs: int
    """Multiply-accumulates of one picture."""


def count_parameters(net: nn.Module) -> int:
    """Return the number of values that training changes."""
    return sum(parameter.numel() for parameter in net.parameters())


def count_macs(net: nn.Module, size: tuple[int, int]) -> int:
    """Return the multiply-accumulates of `net` for one picture of (height, width); `net` stays as it is.

    Counted are convolutions and matrix products, attention's among them, by PyTorch's own counter on a copy without
    values. Biases, normalisation (folded away in deployment), activations and resizing are not. A network whose work
    depends on what it sees has a method `busiest`, which does as much of it as ever.
    """
    copy = deepcopy(net).to("meta").eval()
    run = getattr(copy, "busiest", copy)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run(torch.empty(1, 3, *size, device="meta"))
    return int(counter.get_total_flops()) // 2


def model_cost(name: str, classes: int, size: tuple[int, int]) -> Cost:
    """Return what a registered architecture costs for `classes` classes and (height, width) inputs.

    It is built without values, so even a large one takes no memory. Raises ConfigError as `build`.
    """
    with torch.device("meta"):
        net = build(name, classes, size)
    return Cost(count_parameters(net), count_macs(net, size))


def instance_cost(name: str, classes: int, size: tuple[int, int]) -> Cost:
    """Return what a registered architecture that tells objects apart costs, as `model_cost`."""
    with torch.device("meta"):
        net = build_instance(name, classes, size)
    return Cost(count_parameters(net), count_macs(net, size))
