"""Attention against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeseg.models.attention import Attention


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_it_computes_what_pytorchs_does(heads: int) -> None:
    torch.manual_seed(0)
    reference = nn.MultiheadAttention(8, heads, batch_first=True).eval()
    nn.init.normal_(reference.in_proj_bias)
    nn.init.normal_(reference.out_proj.bias)
    attention = Attention(8, heads).eval()
    weights, biases = reference.in_proj_weight.chunk(3), reference.in_proj_bias.chunk(3)
    layers = [attention.query, attention.key, attention.value, attention.out]
    for layer, weight, bias in zip(
        layers, [*weights, reference.out_proj.weight], [*biases, reference.out_proj.bias], strict=True
    ):
        layer.load_state_dict({"weight": weight, "bias": bias})
    queries, keys = torch.randn(2, 15, 8), torch.randn(2, 6, 8)
    with torch.no_grad():
        expected, _ = reference(queries, keys, keys, need_weights=False)
        torch.testing.assert_close(attention(queries, keys), expected)


@torch.no_grad()
def test_it_starts_as_widely_as_pytorchs() -> None:
    torch.manual_seed(0)
    reference, attention = nn.MultiheadAttention(256, 4), Attention(256, 4)
    layers = (attention.query, attention.key, attention.value)
    for layer, weight in zip(layers, reference.in_proj_weight.chunk(3), strict=True):
        assert float(layer.weight.abs().max()) == pytest.approx(float(weight.abs().max()), rel=0.01)
        assert float(layer.weight.std()) == pytest.approx(float(weight.std()), rel=0.02)
        assert not layer.bias.any()
    assert float(attention.out.weight.std()) == pytest.approx(float(reference.out_proj.weight.std()), rel=0.02)
    assert not attention.out.bias.any()
