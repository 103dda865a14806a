"""Deep supervision: small heads that learn from a network's inner features and are left behind with training.

A network takes part by naming its taps, and by nothing else:

    class MyNet(nn.Module):
        auxiliary = (Auxiliary("semantic.stage3", hidden=128), Auxiliary("detail", hidden=64, kind="boundary"))

Its `forward` returns the scores alone and its state dict holds no heads: they are made here, from the features' true
widths (so a pruned network's fit too), and are trained, saved for resuming and thrown away by `edgeseg.training`. What
is exported, pruned, quantised or counted never saw them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu

Target = Literal["classes", "boundary"]


@dataclass(frozen=True)
class Auxiliary:
    """One auxiliary head: where it reads and what it learns."""

    tap: str
    """Dotted name, within the network, of a submodule that is called once a forward pass and returns a (N, C, h, w)
    tensor which no later operation overwrites in place (end the submodule with its ReLU rather than call one after)."""
    hidden: int
    """Channels of the head's 3×3 convolution."""
    kind: Target = "classes"
    """`classes`: scores of the classes, with the run's own loss. `boundary`: one score that a pixel lies at the border
    of two classes, with cross-entropy and Dice (as STDC's detail head)."""


class AuxiliaryHead(nn.Sequential):
    """3×3 convolution with batch normalisation and ReLU, dropout, 1×1 convolution (Zhao et al., PSPNet, CVPR 2017)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(ConvBnRelu(inputs, hidden), nn.Dropout(0.1), nn.Conv2d(hidden, outputs, 1))


def auxiliaries(net: nn.Module) -> tuple[Auxiliary, ...]:
    """Return what `net` declares; nothing if it has no taps, or is no longer the class that names them."""
    return tuple(getattr(net, "auxiliary", ()))


def auxiliary_heads(net: nn.Module, classes: int, size: tuple[int, int]) -> nn.ModuleList:
    """Return a fresh head for each tap of `net`, in order, given (height, width) inputs. `net` stays as it is."""
    declared = auxiliaries(net)
    training = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.no_grad(), tapped(net, [one.tap for one in declared]) as seen:
            if declared:
                net(torch.zeros(1, 3, *size, device=next(net.parameters()).device))
    finally:
        for module, mode in training.items():
            module.training = mode
    return nn.ModuleList(
        AuxiliaryHead(seen[one.tap].shape[1], one.hidden, classes if one.kind == "classes" else 1) for one in declared
    )


@contextmanager
def tapped(net: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Yield a mapping that fills with what the named submodules of `net` return while it runs."""
    seen: dict[str, Tensor] = {}
    handles = [net.get_submodule(name).register_forward_hook(partial(_remember, seen, name)) for name in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _remember(seen: dict[str, Tensor], name: str, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
    seen[name] = output
