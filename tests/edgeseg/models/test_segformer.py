"""SegFormer: attention to a coarser picture, normalisation and tokens by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgeseg.models.segformer import EfficientAttention, MixFeedForward, SegFormerB0, Stage, grid, tokens


def test_tokens_are_pixels_row_by_row_and_grid_puts_them_back() -> None:
    features = torch.arange(12.0).reshape(1, 2, 2, 3)
    assert tokens(features)[0].tolist() == [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]
    assert torch.equal(grid(tokens(features), 2, 3), features)


@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_attention_to_a_coarser_picture_by_hand(reduction: int) -> None:
    torch.manual_seed(0)
    layer = EfficientAttention(8, 2, reduction).eval()
    pixels = torch.randn(2, 8 * 12, 8)
    with torch.no_grad():
        normed = F.layer_norm(pixels, (8,), layer.norm.weight, layer.norm.bias, 1e-6)
        keys = normed
        if isinstance(layer.shrink, nn.Sequential):
            coarse = layer.shrink[0](normed.transpose(1, 2).reshape(2, 8, 8, 12))
            keys = layer.shrink[1](coarse.flatten(2).transpose(1, 2))
        assert keys.shape[1] == 8 * 12 // reduction**2
        expected = pixels + layer.attend(normed, keys)
        torch.testing.assert_close(layer(pixels, 8, 12), expected, atol=1e-5, rtol=1e-5)


def test_a_stage_normalises_the_channels_of_each_pixel() -> None:
    torch.manual_seed(0)
    stage = Stage(3, 8, stride=4, heads=2, reduction=2).eval()
    with torch.no_grad():
        features = stage(torch.randn(2, 3, 30, 37))
    assert features.shape == (2, 8, 8, 10)
    torch.testing.assert_close(features.mean(1), torch.zeros(2, 8, 10), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.var(1, correction=0), torch.ones(2, 8, 10), atol=1e-3, rtol=0)


def test_the_feed_forward_layer_knows_its_neighbours() -> None:
    torch.manual_seed(0)
    layer = MixFeedForward(4).eval()
    features = torch.zeros(1, 4, 7, 7)
    features[..., 3, 3] = torch.tensor([1.0, 2.0, -1.0, 0.5])
    with torch.no_grad():
        changed, plain = (grid(layer(tokens(given), 7, 7), 7, 7) for given in (features, torch.zeros_like(features)))
        change = (changed - plain).abs().sum(1)[0] > 1e-6
    assert change[2:5, 2:5].all() and not change[:2].any() and not change[:, 5:].any()


def test_sizes_that_do_not_divide_are_taken() -> None:
    net = SegFormerB0(3).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 70, 101)).shape == (1, 3, 18, 26)
