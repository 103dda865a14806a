"""Branches for training: a 3×3 convolution learns faster beside a 1×1 convolution and the input itself.

What they add up to is one 3×3 convolution again, and that is what is saved, pruned, quantised and exported: `fold`
gives back the very network that was built, with other values. The form is QARepVGG's (Chu, Li and Zhang, "Make RepVGG
Greater Again: A Quantization-aware Approach", AAAI 2024, arXiv:2212.01593, figure 3), whose folded weights stay in
ranges that int8 can hold; RepVGG's own (Ding et al., CVPR 2021, arXiv:2101.03697) do not.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu

M = TypeVar("M", bound=nn.Module)


class Branched(nn.Module):
    """What a brick is while it learns: normalised 3×3 convolution, 1×1 convolution and input, added, normalised."""

    def __init__(self, brick: ConvBnRelu) -> None:
        """Take over the values of `brick`, which keeps its width and size; the new convolution starts at random."""
        super().__init__()
        conv, norm = _parts(brick)
        self.wide, self.norm = deepcopy(conv), deepcopy(norm)
        channels = self.wide.out_channels
        self.wide_norm = nn.BatchNorm2d(channels)
        self.narrow = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        return F.relu(self.norm(self.wide_norm(self.wide(features)) + self.narrow(features) + features))

    @torch.no_grad()
    def folded(self) -> ConvBnRelu:
        """Return the brick that computes the same, as long as running statistics are used."""
        channels, inner = self.wide.out_channels, self.wide_norm
        assert inner.running_mean is not None and inner.running_var is not None
        scale = inner.weight / torch.sqrt(inner.running_var + inner.eps)
        kernel = self.wide.weight * scale.reshape(-1, 1, 1, 1)
        kernel[:, :, 1, 1] += self.narrow.weight[:, :, 0, 0] + torch.eye(channels, device=kernel.device)
        brick = ConvBnRelu(channels, channels).to(kernel.device)
        conv, norm = _parts(brick)
        conv.weight.copy_(kernel)
        norm.load_state_dict(self.norm.state_dict())
        # what the inner normalisation adds to every pixel is taken off the mean that the outer one subtracts
        assert norm.running_mean is not None
        norm.running_mean -= inner.bias - inner.running_mean * scale
        return brick.train(self.training)


def grow_branches(net: nn.Module) -> nn.Module:
    """Return a copy of `net` to be trained: with branches, where its class asks for them by `branched = True`.

    Every dense 3×3 `ConvBnRelu` gets some that keeps its input's width and size.
    """
    copy = deepcopy(net)
    if getattr(net, "branched", False):
        for parent, name, brick in _children(copy, ConvBnRelu):
            if _can_branch(_parts(brick)[0]):
                setattr(parent, name, Branched(brick))
    return copy


def fold_branches(net: nn.Module) -> nn.Module:
    """Return `net` as it was built, with what its branches have learnt; `net` stays as it is.

    A network without branches is returned itself.
    """
    if not any(isinstance(module, Branched) for module in net.modules()):
        return net
    copy = deepcopy(net)
    for parent, name, branched in _children(copy, Branched):
        setattr(parent, name, branched.folded())
    return copy


def _parts(brick: ConvBnRelu) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv, norm, _ = brick
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return conv, norm


def _can_branch(conv: nn.Conv2d) -> bool:
    dense = conv.kernel_size == (3, 3) and conv.groups == 1
    return dense and conv.stride == (1, 1) and conv.in_channels == conv.out_channels


def _children(net: nn.Module, kind: type[M]) -> list[tuple[nn.Module, str, M]]:
    """Return the submodules of a kind, each with its parent and the name that it has there."""
    pairs = [(parent, name, child) for parent in net.modules() for name, child in parent.named_children()]
    return [(parent, name, child) for parent, name, child in pairs if isinstance(child, kind)]
