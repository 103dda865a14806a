"""PP-LiteSeg.

Peng et al., "PP-LiteSeg: A Superior Real-Time Semantic Segmentation Model", 2022, arXiv:2204.02681: an STDC encoder,
the simple pyramid pooling module (SPPM), and a decoder (FLD) that narrows as it grows finer and fuses by unified
attention (UAFM). Widths are those of PaddleSeg's configurations.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from edgeseg.models.attention_blocks import blend
from edgeseg.models.auxiliary import Auxiliary
from edgeseg.models.blocks import ConvBnRelu, pool_to, resize_like
from edgeseg.models.stdc import CHANNELS, STDC1_BLOCKS, STDC2_BLOCKS, Stdc

CONTEXT = 128
"""Channels of the pooled context."""


class SimplePyramidPooling(nn.Module):
    """Context at three scales: pooled to b×b, projected, resized back, *added*, smoothed by a 3×3 convolution."""

    def __init__(self, inputs: int, outputs: int, bins: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        self.bins = bins
        self.branches = nn.ModuleList(ConvBnRelu(inputs, outputs, 1) for _ in bins)
        self.smooth = ConvBnRelu(outputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w)."""
        total = None
        for size, branch in zip(self.bins, self.branches, strict=True):
            scale = resize_like(branch(pool_to(features, size)), features)
            total = scale if total is None else total + scale
        return self.smooth(total)  # type: ignore[no-any-return]


class UnifiedAttentionFusion(nn.Module):
    """Fine and coarse features mixed by a spatial weight α, made from the mean and maximum over both's channels."""

    def __init__(self, fine: int, coarse: int, outputs: int) -> None:
        super().__init__()
        self.project = ConvBnRelu(fine, coarse)
        self.weigh = nn.Sequential(ConvBnRelu(4, 2), nn.Conv2d(2, 1, 3, padding=1, bias=False), nn.BatchNorm2d(1))
        self.smooth = ConvBnRelu(coarse, outputs)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return (N, outputs, h, w) features at the size of `fine`: α · fine + (1 - α) · coarse, smoothed."""
        fine = self.project(fine)
        coarse = resize_like(coarse, fine)
        statistics = [statistic for features in (fine, coarse) for statistic in channel_statistics(features)]
        return self.smooth(blend(fine, coarse, self.weigh(torch.cat(statistics, dim=1))))  # type: ignore[no-any-return]


class PpLiteSeg(nn.Module):
    """Scores at 1/8 of the input."""

    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (Auxiliary("fuse16", hidden=64), Auxiliary("fuse32", hidden=64))

    def __init__(self, classes: int, blocks: tuple[int, int, int], widths: tuple[int, int, int], head: int) -> None:
        """`widths` are the decoder's at strides 8, 16 and 32, `head` that of the last 3×3 convolution."""
        super().__init__()
        self.encoder = Stdc(blocks)
        self.context = SimplePyramidPooling(CHANNELS[2], CONTEXT)
        self.fuse32 = UnifiedAttentionFusion(CHANNELS[2], CONTEXT, widths[2])
        self.fuse16 = UnifiedAttentionFusion(CHANNELS[1], widths[2], widths[1])
        self.fuse8 = UnifiedAttentionFusion(CHANNELS[0], widths[1], widths[0])
        self.head = nn.Sequential(ConvBnRelu(widths[0], head), nn.Conv2d(head, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/8⌉, ⌈W/8⌉) scores."""
        eighth, sixteenth, features = self.encoder(image)
        features = self.fuse32(features, self.context(features))
        features = self.fuse16(sixteenth, features)
        return self.head(self.fuse8(eighth, features))  # type: ignore[no-any-return]


def channel_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the maximum over the channels of (N, C, h, w) features, (N, 1, h, w) each."""
    return features.mean(dim=1, keepdim=True), torch.amax(features, dim=1, keepdim=True)


def pp_liteseg_t(classes: int) -> PpLiteSeg:
    """Return the small one, on STDC1."""
    return PpLiteSeg(classes, STDC1_BLOCKS, (32, 64, 128), head=32)


def pp_liteseg_b(classes: int) -> PpLiteSeg:
    """Return the larger one, on STDC2."""
    return PpLiteSeg(classes, STDC2_BLOCKS, (64, 96, 128), head=64)
