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
    attention.load_state_dict(reference.state_dict())
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


def test_weights_that_are_not_whole_are_told_of() -> None:
    state = nn.MultiheadAttention(8, 2).state_dict()
    del state["in_proj_bias"]
    with pytest.raises(RuntimeError, match=r'Missing key.*"query\.bias", "key\.bias", "value\.bias"'):
        Attention(8, 2).load_state_dict(state)
    own = Attention(8, 2)
    again = Attention(8, 2)
    again.load_state_dict(own.state_dict())
    assert torch.equal(again.value.weight, own.value.weight)
