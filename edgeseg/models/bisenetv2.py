"""BiSeNet V2.

Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation", IJCV 2021,
arXiv:2004.02147, table 1 and figures 4 to 6.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.auxiliary import Auxiliary
from edgeseg.models.blocks import ConvBnRelu, resize_like
from edgeseg.models.dual_resolution import ConvBn, Residual

HEAD = 1024


class Stem(nn.Module):
    """Down to 1/4 in two ways at once, by a strided convolution and by a maximum."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first = ConvBnRelu(3, outputs, 3, 2)
        self.convolved = nn.Sequential(ConvBnRelu(outputs, outputs // 2, 1), ConvBnRelu(outputs // 2, outputs, 3, 2))
        self.pooled = nn.MaxPool2d(3, 2, 1)
        self.fuse = ConvBnRelu(2 * outputs, outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, outputs, ⌈H/4⌉, ⌈W/4⌉)."""
        features = self.first(image)
        return self.fuse(torch.cat([self.convolved(features), self.pooled(features)], dim=1))  # type: ignore[no-any-return]


def gather_expand(channels: int, expansion: int = 6) -> nn.Sequential:
    """Return a gather-and-expansion layer at stride 1."""
    wide = channels * expansion
    body = nn.Sequential(
        ConvBnRelu(channels, channels),
        ConvBnRelu(channels, wide, groups=channels),
        ConvBn(wide, channels, 1),
    )
    return nn.Sequential(Residual(body, channels, channels, 1), nn.ReLU())


class GatherExpandDown(nn.Module):
    """A gather-and-expansion layer at stride 2: two depthwise convolutions, and one on the shortcut."""

    def __init__(self, inputs: int, outputs: int, expansion: int = 6) -> None:
        super().__init__()
        wide = inputs * expansion
        self.body = nn.Sequential(
            ConvBnRelu(inputs, inputs),
            ConvBn(inputs, wide, 3, 2, groups=inputs),
            ConvBnRelu(wide, wide, groups=wide),
            ConvBn(wide, outputs, 1),
        )
        self.skip = nn.Sequential(ConvBn(inputs, inputs, 3, 2, groups=inputs), ConvBn(inputs, outputs, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, ⌈h/2⌉, ⌈w/2⌉)."""
        return F.relu(self.body(features) + self.skip(features))


class ContextEmbedding(nn.Module):
    """The picture's mean, added to every pixel.

    The paper normalises the mean before its 1×1 convolution too. That changes no function, since a convolution with a
    normalisation of its own follows, and it could not be folded away.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvBnRelu(channels, channels, 1))
        self.smooth = ConvBnRelu(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, h, w) to the same shape."""
        return self.smooth(features + self.mean(features))  # type: ignore[no-any-return]


class GuidedAggregation(nn.Module):
    """Each branch weighs the other by a sigmoid of its own, once at either's size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        separable = (ConvBn(channels, channels, groups=channels), nn.Conv2d(channels, channels, 1, bias=False))
        self.detail = nn.Sequential(*separable)
        # Over the pixels that there are: OpenVINO pads signed int8 features with a zero that is none.
        average = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.detail_small = nn.Sequential(ConvBn(channels, channels, 3, 2), average)
        separable = (ConvBn(channels, channels, groups=channels), nn.Conv2d(channels, channels, 1, bias=False))
        self.semantic = nn.Sequential(*separable, nn.Sigmoid())
        self.semantic_large = ConvBn(channels, channels)
        self.fuse = ConvBnRelu(channels, channels)

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        """Return features at the size of `detail`; `semantic` has about a quarter of its height and width."""
        fine = self.detail(detail) * torch.sigmoid(resize_like(self.semantic_large(semantic), detail))
        coarse = self.semantic(semantic) * resize_like(self.detail_small(detail), semantic)
        return self.fuse(fine + resize_like(coarse, fine))  # type: ignore[no-any-return]


class BiSeNetV2(nn.Module):
    """Scores at 1/8 of the input from a wide shallow branch and a narrow deep one."""

    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (
        Auxiliary("stem", hidden=128),
        Auxiliary("stage3", hidden=128),
        Auxiliary("stage4", hidden=128),
        Auxiliary("stage5", hidden=128),
    )

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.detail = nn.Sequential(
            ConvBnRelu(3, 64, 3, 2),
            ConvBnRelu(64, 64),
            ConvBnRelu(64, 64, 3, 2),
            *(ConvBnRelu(64, 64) for _ in range(2)),
            ConvBnRelu(64, 128, 3, 2),
            *(ConvBnRelu(128, 128) for _ in range(2)),
        )
        self.stem = Stem(16)
        self.stage3 = nn.Sequential(GatherExpandDown(16, 32), gather_expand(32))
        self.stage4 = nn.Sequential(GatherExpandDown(32, 64), gather_expand(64))
        self.stage5 = nn.Sequential(GatherExpandDown(64, 128), *(gather_expand(128) for _ in range(3)))
        self.context = ContextEmbedding(128)
        self.aggregate = GuidedAggregation(128)
        self.head = nn.Sequential(ConvBnRelu(128, HEAD), nn.Dropout(0.1), nn.Conv2d(HEAD, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/8⌉, ⌈W/8⌉) scores."""
        semantic = self.stage5(self.stage4(self.stage3(self.stem(image))))
        return self.head(self.aggregate(self.detail(image), self.context(semantic)))  # type: ignore[no-any-return]
