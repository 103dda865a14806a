"""SegFormer: attention, normalisation and tokens by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from edgeseg.models.segformer import ChannelNorm, EfficientAttention, MixFeedForward, SegFormerB0, tokens


def test_channels_are_normalised_at_each_pixel() -> None:
    torch.manual_seed(0)
    norm = ChannelNorm(6, eps=1e-6)
    features = 3 + 2 * torch.randn(2, 6, 4, 5)
    expected = (features - features.mean(1, keepdim=True)) / (features.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(norm(features), expected)


def test_tokens_are_pixels_row_by_row() -> None:
    features = torch.arange(12.0).reshape(1, 2, 2, 3)
    assert tokens(features)[0].tolist() == [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]


@pytest.mark.parametrize(("heads", "reduction"), [(1, 4), (2, 2), (4, 1)])
def test_attention_by_hand(heads: int, reduction: int) -> None:
    torch.manual_seed(0)
    layer = EfficientAttention(8, heads, reduction).eval()
    features = torch.randn(2, 8, 8, 12)
    with torch.no_grad():
        normed = layer.norm(features)
        keys = layer.shrink(normed).flatten(2).transpose(1, 2)
        weight, bias = layer.attend.in_proj_weight.chunk(3), layer.attend.in_proj_bias.chunk(3)
        sources = (normed.flatten(2).transpose(1, 2), keys, keys)
        q, k, v = (
            F.linear(source, w, b).reshape(2, -1, heads, 8 // heads).transpose(1, 2)
            for source, w, b in zip(sources, weight, bias, strict=True)
        )
        assert k.shape[2] == 8 * 12 // reduction**2
        shares = (q @ k.transpose(2, 3) / (8 / heads) ** 0.5).softmax(dim=3)
        mixed = layer.attend.out_proj((shares @ v).transpose(1, 2).flatten(2))
        expected = features + mixed.transpose(1, 2).reshape(features.shape)
        torch.testing.assert_close(layer(features), expected, atol=1e-5, rtol=1e-5)


def test_the_feed_forward_layer_knows_its_neighbours() -> None:
    torch.manual_seed(0)
    layer = MixFeedForward(4).eval()
    features = torch.zeros(1, 4, 7, 7)
    features[..., 3, 3] = torch.tensor([1.0, 2.0, -1.0, 0.5])
    with torch.no_grad():
        change = (layer(features) - layer(torch.zeros_like(features))).abs().sum(1)[0] > 1e-6
    assert change[2:5, 2:5].all() and not change[:2].any() and not change[:, 5:].any()


def test_sizes_that_do_not_divide_are_taken() -> None:
    net = SegFormerB0(3).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 70, 101)).shape == (1, 3, 18, 26)
