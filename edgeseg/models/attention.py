"""Attention in layers that can get narrower one by one.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section 3.2.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = ("query", "key", "value")
"""In the order in which `nn.MultiheadAttention` has their weights in one."""


class Query(nn.Linear):
    """Queries, divided by the root of a head's width.

    Its weights are divided, and not what it gives, which every exported file would do again for every picture.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, channels)
        self.scale: float = (channels // heads) ** -0.5
        """That of the width it was built with: what a pruned one computes with the channels it keeps is the same."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (…, channels) to (…, heads · width)."""
        return F.linear(input, self.scale * self.weight, self.scale * self.bias)


class Attention(nn.Module):
    """What `nn.MultiheadAttention` computes, which keeps its layers' weights in one and so all of one width."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Query(channels, heads)
        self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(3))
        for layer in (self.query, self.key, self.value):  # as PyTorch's: Glorot's, as if the three were one
            nn.init.xavier_uniform_(layer.weight, gain=0.5**0.5)
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(layer.bias)
        self.register_load_state_dict_pre_hook(_part)  # type: ignore[no-untyped-call]

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Map (N, L, channels) queries and (N, S, channels) keys, which are the values too, to (N, L, channels)."""
        query, key, value = (self.in_heads(part) for part in (self.query(queries), self.key(keys), self.value(keys)))
        mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def in_heads(self, pixels: Tensor) -> Tensor:
        """Map (N, L, heads · width) to (N, heads, L, width)."""
        return pixels.reshape(pixels.shape[0], -1, self.heads, pixels.shape[-1] // self.heads).transpose(1, 2)


def _part(_: nn.Module, state: dict[str, Any], prefix: str, *_more: Any) -> None:
    """Put the weights of an `nn.MultiheadAttention`, as older checkpoints have them, under this one's names."""
    for kind in ("weight", "bias"):
        joined = state.pop(f"{prefix}in_proj_{kind}", None)
        if joined is not None:
            state |= {f"{prefix}{name}.{kind}": part for name, part in zip(LAYERS, joined.chunk(3), strict=True)}
        if (last := state.pop(f"{prefix}out_proj.{kind}", None)) is not None:
            state[f"{prefix}out.{kind}"] = last
