"""Weights of other programs for the normalisation that every network here is trained with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgeseg_runtime.contract import GRAY_MEAN, GRAY_STD


def take_gray_input(
    net: nn.Module, size: tuple[int, int], mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    """Make a network that expects another normalisation, such as ImageNet's, expect GRAY_MEAN and GRAY_STD.

    Their mean is one whole pixel value in all channels, so that int8 files can take the frame as it is. Of a pixel p,
    the other x = (p - m) / s is y · k/s + (g - m) / s of the grey y = (p - g) / k. The factor goes into the weights of
    the convolutions that read the picture; the constant into the mean of the normalisation after them, or into their
    biases. The result differs at the picture's border alone, where padding now stands for grey, not for the
    mean colour m. `size` is a (height, width) that the network takes.
    """
    old_mean, old_std, gray_mean, gray_std = (
        torch.tensor(values).reshape(1, 3, 1, 1) for values in (mean, std, GRAY_MEAN, GRAY_STD)
    )
    with torch.no_grad():
        for conv, norm in readers_of_the_picture(net, size):
            constant = (conv.weight * ((gray_mean - old_mean) / old_std)).sum(dim=(1, 2, 3))
            conv.weight *= gray_std / old_std
            if norm is not None:
                norm.running_mean -= constant
            elif conv.bias is not None:
                conv.bias += constant
            else:
                conv.bias = nn.Parameter(constant)


def readers_of_the_picture(net: nn.Module, size: tuple[int, int]) -> list[tuple[nn.Conv2d, Any]]:
    """Return the convolutions that read the input, each with the batch normalisation that reads it, or None.

    What the first convolution reads is the input, though a detector may have copied it.
    """
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            calls.append((module, inputs[0], output))

    hooks = [module.register_forward_hook(note) for module in net.modules() if not list(module.children())]
    trained = net.training
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, 3, *size))
    finally:
        net.train(trained)
        for hook in hooks:
            hook.remove()
    convolutions = [(module, read, written) for module, read, written in calls if isinstance(module, nn.Conv2d)]
    picture = convolutions[0][1]
    found = []
    for conv, read, written in convolutions:
        if read is picture:
            norms = [module for module, source, _ in calls if source is written and hasattr(module, "running_mean")]
            found.append((conv, norms[0] if norms else None))
    return found
