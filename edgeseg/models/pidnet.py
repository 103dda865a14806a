"""PIDNet-S.

Xu, Xiong and Bhattacharyya, "PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers", CVPR 2023,
arXiv:2206.02066, figures 4 to 7.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.attention_blocks import blend
from edgeseg.models.auxiliary import Auxiliary
from edgeseg.models.blocks import ConvBnRelu, resize_like
from edgeseg.models.dual_resolution import (
    CoarseToFine,
    ConvBn,
    ParallelAggregationPyramid,
    basic,
    bottleneck,
    head,
    stage,
)

WIDTH, POOLED, HEAD = 32, 96, 128


class PixelAttentionFusion(nn.Module):
    """PagFM: a pixel takes from the context as far as both branches see the same there (equations 5 and 6)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fine, self.coarse = ConvBn(channels, hidden, 1), ConvBn(channels, hidden, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return σ · coarse + (1 - σ) · fine at the size of `fine`, σ the sigmoid of their projections' dot product."""
        products = self.fine(fine) * resize_like(self.coarse(coarse), fine)
        # the dot product, by way of a mean: engines and quantisation know that
        alike = products.mean(dim=1, keepdim=True) * products.shape[1]
        return blend(resize_like(coarse, fine), fine, alike)


class LightBoundaryFusion(nn.Module):
    """Light-Bag: detail where the boundary branch is sure of an edge, context elsewhere (equation 8)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.detail, self.context = ConvBn(inputs, outputs, 1), ConvBn(inputs, outputs, 1)

    def forward(self, detail: Tensor, context: Tensor, boundary: Tensor) -> Tensor:
        """Map three (N, inputs, h, w) to (N, outputs, h, w); `boundary` before its sigmoid."""
        elsewhere = torch.sigmoid(-1.0 * boundary)  # 1 - σ, see `blend`
        filled = self.detail(elsewhere * context + detail)
        return filled + self.context(context + torch.sigmoid(boundary) * detail)  # type: ignore[no-any-return]


class PidNetS(nn.Module):
    """Scores at 1/8 of the input from a detail branch, a context branch down to 1/64, and a boundary branch."""

    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (
        Auxiliary("attend3", hidden=HEAD),
        Auxiliary("edge4", hidden=WIDTH, kind="boundary"),
    )

    def __init__(self, classes: int) -> None:
        super().__init__()
        width, fine = WIDTH, 2 * WIDTH
        self.stem = nn.Sequential(ConvBnRelu(3, width, 3, 2), ConvBnRelu(width, width, 3, 2))
        self.stage1 = stage(basic, width, width, 2)
        self.stage2 = stage(basic, width, fine, 2, stride=2)
        self.context3 = stage(basic, fine, 4 * width, 3, stride=2)
        self.context4 = stage(basic, 4 * width, 8 * width, 3, stride=2)
        self.context5 = stage(bottleneck, 8 * width, 8 * width, 2, stride=2)
        self.detail3, self.detail4 = stage(basic, fine, fine, 2), stage(basic, fine, fine, 2)
        self.detail5 = bottleneck(fine, fine)
        self.project3, self.project4 = ConvBn(4 * width, fine, 1), ConvBn(8 * width, fine, 1)
        self.attend3, self.attend4 = PixelAttentionFusion(fine, width), PixelAttentionFusion(fine, width)
        self.boundary3, self.boundary4 = basic(fine, width), bottleneck(width, width)
        self.boundary5 = bottleneck(fine, fine)
        self.edge3, self.edge4 = CoarseToFine(4 * width, width, 3), CoarseToFine(8 * width, fine, 3)
        self.pyramid = ParallelAggregationPyramid(16 * width, POOLED, 4 * width)
        self.fuse = LightBoundaryFusion(4 * width, 4 * width)
        self.head = head(4 * width, HEAD, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/8⌉, ⌈W/8⌉) scores."""
        shared = F.relu(self.stage2(F.relu(self.stage1(self.stem(image)))))
        context = F.relu(self.context3(shared))
        detail = self.attend3(self.detail3(shared), self.project3(context))
        boundary = self.edge3(self.boundary3(shared), context)

        context = F.relu(self.context4(context))
        detail = self.attend4(self.detail4(F.relu(detail)), self.project4(context))
        boundary = self.edge4(self.boundary4(F.relu(boundary)), context)

        detail, boundary = self.detail5(F.relu(detail)), self.boundary5(F.relu(boundary))
        context = resize_like(self.pyramid(F.relu(self.context5(context))), detail)
        return self.head(F.relu(self.fuse(detail, context, boundary)))  # type: ignore[no-any-return]
