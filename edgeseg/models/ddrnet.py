"""DDRNet-23-slim.

Hong, Pan, Sun and Jia, "Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation of Road Scenes",
2021, arXiv:2101.06085, table 2.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.auxiliary import Auxiliary
from edgeseg.models.blocks import ConvBnRelu, resize_like
from edgeseg.models.dual_resolution import (
    CoarseToFine,
    ConvBn,
    DeepAggregationPyramid,
    basic,
    bottleneck,
    head,
    stage,
)

WIDTH, POOLED, HEAD = 32, 128, 64


class DdrNet23Slim(nn.Module):
    """Scores at 1/8 of the input from a branch that stays there and one that goes down to 1/64; they meet thrice."""

    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (Auxiliary("up3", hidden=HEAD),)

    def __init__(self, classes: int) -> None:
        super().__init__()
        width = WIDTH
        self.stem = nn.Sequential(ConvBnRelu(3, width, 3, 2), ConvBnRelu(width, width, 3, 2))
        self.stage1 = stage(basic, width, width, 2)
        self.stage2 = stage(basic, width, 2 * width, 2, stride=2)
        self.context3, self.detail3 = stage(basic, 2 * width, 4 * width, 2, 2), stage(basic, 2 * width, 2 * width, 2)
        self.down3, self.up3 = ConvBn(2 * width, 4 * width, 3, 2), CoarseToFine(4 * width, 2 * width)
        self.context4, self.detail4 = stage(basic, 4 * width, 8 * width, 2, 2), stage(basic, 2 * width, 2 * width, 2)
        self.down4 = nn.Sequential(ConvBnRelu(2 * width, 4 * width, 3, 2), ConvBn(4 * width, 8 * width, 3, 2))
        self.up4 = CoarseToFine(8 * width, 2 * width)
        self.context5 = bottleneck(8 * width, 8 * width, 2)
        self.detail5 = bottleneck(2 * width, 2 * width)
        self.pyramid = DeepAggregationPyramid(16 * width, POOLED, 4 * width)
        self.head = head(4 * width, HEAD, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/8⌉, ⌈W/8⌉) scores."""
        shared = F.relu(self.stage2(F.relu(self.stage1(self.stem(image)))))
        context, detail = self.context3(shared), self.detail3(shared)
        fine = F.relu(detail)
        detail = F.relu(self.up3(detail, F.relu(context)))
        context = F.relu(context + self.down3(fine))

        context, detail = self.context4(context), self.detail4(detail)
        fine = F.relu(detail)
        detail = F.relu(self.up4(detail, F.relu(context)))
        context = F.relu(context + self.down4(fine))

        context, detail = self.pyramid(F.relu(self.context5(context))), self.detail5(detail)
        return self.head(F.relu(detail + resize_like(context, detail)))  # type: ignore[no-any-return]
