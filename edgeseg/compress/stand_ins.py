"""Layers that stand in for those through which Torch-Pruning cannot follow channels, while it looks at a network.

They need not compute the same: only which channels depend on which is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.attention import Attention
from edgeseg.models.shuffle_unit import Shuffle


class InHeads(nn.PReLU):
    """A layer through which channels run in heads: the first of one go with the first of all others, and so on."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels)
        self.heads = heads


class _Attended(nn.Module):
    """Ties the channels of queries, keys and values, which meet in products of matrices."""

    def __init__(self, layer: Attention) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = layer.query, layer.key, layer.value, layer.out
        self.tied = InHeads(layer.query.out_features, layer.heads)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        joined = self.query(queries) + (self.key(keys) + self.value(keys)).mean(dim=1, keepdim=True)
        return self.out(self.tied(joined.transpose(1, 2)).transpose(1, 2))  # type: ignore[no-any-return]


class _PooledTwice(nn.MaxPool2d):
    """Gives the pooled values in the place of where they were, which carries no gradient to follow."""

    def forward(self, features: Tensor) -> Any:
        pooled = F.max_pool2d(features, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return pooled, pooled


class _Unpooled(nn.Module):
    """Ties the channels that are put back to those that they were pooled from, which is where they are put."""

    def forward(self, features: Tensor, pooled: Tensor, output_size: Any) -> Tensor:
        return F.interpolate(features + pooled, list(output_size)[-2:])


def _pool(layer: nn.MaxPool2d) -> nn.Module | None:
    if not layer.return_indices:
        return None
    return _PooledTwice(layer.kernel_size, layer.stride, layer.padding, layer.dilation, True, layer.ceil_mode)


_STAND_INS: dict[type[nn.Module], Callable[[Any], nn.Module | None]] = {
    Attention: _Attended,
    # a layer with a weight along its channels, of a kind that is left alone: so are the channels that are shuffled
    Shuffle: lambda layer: nn.PReLU(layer.channels),
    nn.MaxPool2d: _pool,
    nn.MaxUnpool2d: lambda _: _Unpooled(),
}


@contextmanager
def standing_in(net: nn.Module) -> Iterator[None]:
    """Put stand-ins into `net`, and the layers back at the end."""
    device = next(net.parameters()).device
    replaced: list[tuple[nn.Module, str, nn.Module]] = []
    try:
        for owner in list(net.modules()):
            for name, layer in owner.named_children():
                make = _STAND_INS.get(type(layer))
                if make is not None and (stand_in := make(layer)) is not None:
                    replaced.append((owner, name, layer))
                    setattr(owner, name, stand_in.to(device).train(layer.training))
        yield
    finally:
        for owner, name, layer in replaced:
            setattr(owner, name, layer)
