"""What each layer of a network costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def layer_macs(net: nn.Module, size: tuple[int, int]) -> Counter[nn.Module]:
    """Return the multiply-accumulates of each convolution and linear layer for one picture of (height, width).

    A convolution takes outputs × (inputs / groups) × kernel height × kernel width of them for every position of its
    output; biases, normalisation (folded away in deployment) and activations are not counted.
    """
    counts: Counter[nn.Module] = Counter()
    layers = [layer for layer in net.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(partial(_count, counts)) for layer in layers]
    try:
        with evaluating(net), torch.no_grad():
            net(example_input(net, size))
    finally:
        for hook in hooks:
            hook.remove()
    return counts


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Put every layer of `net` in evaluation mode, and back in its own."""
    training = {layer: layer.training for layer in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for layer, mode in training.items():
            layer.training = mode


def example_input(net: nn.Module, size: tuple[int, int]) -> Tensor:
    """Return a (1, 3, height, width) picture of zeros where the network's weights are."""
    return torch.zeros(1, 3, *size, device=next(net.parameters()).device)


def _count(counts: Counter[nn.Module], layer: nn.Conv2d | nn.Linear, _inputs: Any, output: Tensor) -> None:
    counts[layer] += output.numel() * layer.weight[0].numel() // output.shape[0]
