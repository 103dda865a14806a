"""DDRNet and PIDNet: blocks against the papers' formulas by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.ddrnet import DdrNet23Slim
from edgeseg.models.dual_resolution import (
    CoarseToFine,
    DeepAggregationPyramid,
    ParallelAggregationPyramid,
    basic,
    bottleneck,
    stage,
)
from edgeseg.models.pidnet import LightBoundaryFusion, PidNetS, PixelAttentionFusion


def disturbed(module: nn.Module) -> Any:
    """Give batch normalisations statistics and weights that a trained network might have; in evaluation mode."""
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
            nn.init.normal_(layer.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return module.eval()


def resized(features: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)


def test_blocks_leave_their_sum_unrectified() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 16, 12, 10)
    assert (basic(16, 16).eval()(features) < 0).any()
    assert basic(16, 24, 2)(features).shape == (2, 24, 6, 5)
    assert bottleneck(16, 16, 2)(features).shape == (2, 32, 6, 5)
    two = stage(basic, 16, 24, 2, stride=2).eval()
    assert two(features).shape == (2, 24, 6, 5) and (two(features) < 0).any()
    assert stage(bottleneck, 16, 8, 2)(features).shape == (2, 16, 12, 10)


def test_a_block_adds_its_input() -> None:
    block = disturbed(basic(8, 8))
    features = torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(block(features) - block.body(features), features)


def test_coarse_features_are_projected_resized_and_added() -> None:
    fuse = disturbed(CoarseToFine(8, 4))
    fine, coarse = torch.randn(1, 4, 9, 11), torch.randn(1, 8, 5, 6)
    with torch.no_grad():
        torch.testing.assert_close(fuse(fine, coarse), fine + resized(fuse.project(coarse), (9, 11)))


def test_deep_aggregation_by_hand() -> None:
    pyramid = disturbed(DeepAggregationPyramid(6, 4, 5))
    features = torch.rand(1, 6, 13, 17)
    with torch.no_grad():
        found = [pyramid.scales.own(features)]
        pooled = [F.avg_pool2d(features, size, step, size // 2) for size, step in ((5, 2), (9, 4), (17, 8))]
        pooled.append(features.mean(dim=(2, 3), keepdim=True))
        for scale, project, process in zip(pooled, pyramid.scales.project, pyramid.process, strict=True):
            found.append(process(F.relu(resized(project(scale), (13, 17)) + found[-1])))
        expected = pyramid.compress(F.relu(torch.cat(found, 1))) + pyramid.skip(features)
        torch.testing.assert_close(pyramid(features), expected)


def test_parallel_aggregation_by_hand() -> None:
    pyramid = disturbed(ParallelAggregationPyramid(6, 4, 5))
    features = torch.rand(1, 6, 13, 17)
    with torch.no_grad():
        own = pyramid.scales.own(features)
        pooled = [F.avg_pool2d(features, size, step, size // 2) for size, step in ((5, 2), (9, 4), (17, 8))]
        pooled.append(features.mean(dim=(2, 3), keepdim=True))
        scales = [
            F.relu(resized(project(scale), (13, 17)) + own)
            for scale, project in zip(pooled, pyramid.scales.project, strict=True)
        ]
        conv, norm = pyramid.process
        groups = [F.conv2d(scale, conv.weight[4 * i : 4 * i + 4], padding=1) for i, scale in enumerate(scales)]
        processed = F.relu(norm(torch.cat(groups, 1)))
        expected = pyramid.compress(torch.cat([F.relu(own), processed], 1)) + pyramid.skip(features)
        torch.testing.assert_close(pyramid(features), expected)


def test_pixel_attention_by_hand() -> None:
    attend = disturbed(PixelAttentionFusion(8, 4))
    detail, context = torch.randn(2, 8, 9, 11), torch.randn(2, 8, 5, 6)
    with torch.no_grad():
        left, right = attend.fine(detail), resized(attend.coarse(context), (9, 11))
        alike = torch.einsum("nchw,nchw->nhw", left, right)[:, None]
        weight = 1 / (1 + torch.exp(-alike))  # equations 5 and 6 of arXiv:2206.02066
        expected = weight * resized(context, (9, 11)) + (1 - weight) * detail
        torch.testing.assert_close(attend(detail, context), expected)


def test_boundary_fusion_by_hand() -> None:
    fuse = disturbed(LightBoundaryFusion(6, 5))
    detail, context, boundary = torch.randn(3, 2, 6, 7, 9).unbind()
    with torch.no_grad():
        edge = 1 / (1 + torch.exp(-boundary))
        expected = fuse.detail((1 - edge) * context + detail) + fuse.context(context + edge * detail)
        torch.testing.assert_close(fuse(detail, context, boundary), expected)


@pytest.mark.parametrize("kind", [DdrNet23Slim, PidNetS])
def test_every_normalisation_directly_follows_a_convolution(kind: Any) -> None:
    """Then it can be folded, which is why it is where it is."""
    layers = [layer for layer in kind(5).modules() if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d))]
    norms = [index for index, layer in enumerate(layers) if isinstance(layer, nn.BatchNorm2d)]
    assert norms
    for index in norms:
        conv = layers[index - 1]
        assert isinstance(conv, nn.Conv2d) and conv.out_channels == layers[index].num_features
