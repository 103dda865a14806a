"""STDC and PP-LiteSeg: blocks against formulas by hand, sizes against the papers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.compress.pruning import prune
from edgeseg.models.attention_blocks import blend
from edgeseg.models.cost import count_macs, count_parameters
from edgeseg.models.pp_liteseg import SimplePyramidPooling, UnifiedAttentionFusion, pp_liteseg_t
from edgeseg.models.stdc import STDC1_BLOCKS, STDC2_BLOCKS, ShortTermDenseConcatenation, Stdc, StridedConcatenation


class Classifier(nn.Module):
    """STDC as the paper measures it on ImageNet: a last 1×1 convolution, the mean, two linear layers."""

    def __init__(self, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.trunk = Stdc(blocks)
        self.last = nn.Sequential(nn.Conv2d(1024, 1024, 1, bias=False), nn.BatchNorm2d(1024), nn.ReLU())
        self.hidden = nn.Sequential(nn.Linear(1024, 1024, bias=False), nn.BatchNorm1d(1024), nn.ReLU())
        self.scores = nn.Linear(1024, 1000, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.last(self.trunk(image)[-1]).mean(dim=(2, 3))
        return self.scores(self.hidden(features))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("blocks", "millions", "mmacs"), [(STDC1_BLOCKS, 8.44, 813), (STDC2_BLOCKS, 12.47, 1446)])
def test_the_trunk_costs_what_the_papers_classifier_does(
    blocks: tuple[int, int, int], millions: float, mmacs: float
) -> None:
    net = Classifier(blocks)  # table 2 of arXiv:2104.13188, at 224×224
    assert count_parameters(net) / 1e6 == pytest.approx(millions, rel=0.001)
    assert count_macs(net, (224, 224)) / 1e6 == pytest.approx(mmacs, rel=0.01)


def test_the_small_one_weighs_what_paddle_publishes() -> None:
    # PaddlePaddle's FastDeploy lists PP-LiteSeg-T (STDC1) on Cityscapes as a file of 31 MB, in float32
    assert 4 * count_parameters(pp_liteseg_t(19)) / 2**20 == pytest.approx(31, abs=0.5)


@pytest.mark.parametrize("kind", [ShortTermDenseConcatenation, StridedConcatenation])
def test_a_module_puts_halves_of_halves_side_by_side(kind: type[ShortTermDenseConcatenation]) -> None:
    torch.manual_seed(0)
    module = kind(32, 64).eval()
    features = torch.randn(2, 32, 10, 14)
    with torch.no_grad():
        joined = module(features)
        first = module.first(features)
        kept = shrunk = first
        if isinstance(module, StridedConcatenation):
            kept, shrunk = F.avg_pool2d(first, 3, 2, 1), module.shrink(first)
        second = module.second(shrunk)
        third = module.third(second)
        expected = [kept, second, third, module.fourth(third)]
    assert [part.shape[1] for part in expected] == [32, 16, 8, 8]
    assert joined.shape[2:] == kept.shape[2:] == ((5, 7) if kind is StridedConcatenation else (10, 14))
    torch.testing.assert_close(joined, torch.cat(expected, dim=1))


def test_blending_is_a_weighted_mean() -> None:
    first, second, logits = torch.randn(2, 5, 4, 6), torch.randn(2, 5, 4, 6), torch.randn(2, 1, 4, 6)
    weight = 1 / (1 + torch.exp(-logits))
    torch.testing.assert_close(blend(first, second, logits), weight * first + (1 - weight) * second)


def test_unified_attention_fusion_by_hand() -> None:
    torch.manual_seed(0)
    fusion = UnifiedAttentionFusion(fine=12, coarse=8, outputs=6).eval()
    fine, coarse = torch.randn(1, 12, 9, 11), torch.randn(1, 8, 5, 6)
    with torch.no_grad():
        low = fusion.project(fine)
        high = F.interpolate(coarse, size=(9, 11), mode="bilinear", align_corners=False)
        rows = [low.sum(1) / 8, low.max(1).values, high.sum(1) / 8, high.max(1).values]
        weight = torch.sigmoid(fusion.weigh(torch.stack(rows, dim=1)))  # equations 1 to 3 of arXiv:2204.02681
        expected = fusion.smooth(low * weight + high * (1 - weight))
        found = fusion(fine, coarse)
    assert weight.shape == (1, 1, 9, 11) and found.shape == (1, 6, 9, 11)
    torch.testing.assert_close(found, expected)


def test_simple_pyramid_pooling_adds_the_scales() -> None:
    torch.manual_seed(0)
    pooling = SimplePyramidPooling(8, 4).eval()
    features = torch.randn(2, 8, 7, 9)
    with torch.no_grad():
        scales = [
            F.interpolate(branch(F.adaptive_avg_pool2d(features, bins)), size=(7, 9), mode="bilinear")
            for bins, branch in zip((1, 2, 4), pooling.branches, strict=True)
        ]
        torch.testing.assert_close(pooling(features), pooling.smooth(sum(scales)))


def test_pruning_leaves_the_map_of_weights_one_channel() -> None:
    """Its spreading over all channels must not be taken for as many channels of its own."""
    net = pp_liteseg_t(3)
    before = count_parameters(net)
    prune(net, (64, 64), 0.3)
    assert count_parameters(net) < 0.8 * before
    assert {conv.out_channels for conv in (net.fuse8.weigh[1], net.fuse32.weigh[1])} == {1}
    assert net(torch.randn(2, 3, 64, 64)).shape == (2, 3, 8, 8)
