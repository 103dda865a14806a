"""STDC backbones.

Fan et al., "Rethinking BiSeNet for Real-time Semantic Segmentation", CVPR 2021, arXiv:2104.13188, figure 3 and table 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu

STDC1_BLOCKS, STDC2_BLOCKS = (2, 2, 2), (4, 5, 3)
"""Modules a stage, at strides 8, 16 and 32."""
CHANNELS = (256, 512, 1024)


class ShortTermDenseConcatenation(nn.Module):
    """Four convolutions in a row, each with half the channels of the one before, side by side in the output."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = ConvBnRelu(inputs, outputs // 2, 1)
        self.second = ConvBnRelu(outputs // 2, outputs // 4)
        self.third = ConvBnRelu(outputs // 4, outputs // 8)
        self.fourth = ConvBnRelu(outputs // 8, outputs // 8)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w)."""
        first = self.first(features)
        second = self.second(first)
        third = self.third(second)
        return torch.cat([first, second, third, self.fourth(third)], dim=1)


class StridedConcatenation(ShortTermDenseConcatenation):
    """The same at stride 2: a depthwise convolution shrinks what goes on, an average what is kept of the first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        width = outputs // 2
        self.shrink = nn.Sequential(nn.Conv2d(width, width, 3, 2, 1, groups=width, bias=False), nn.BatchNorm2d(width))
        self.skip = nn.AvgPool2d(3, 2, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, ⌈h/2⌉, ⌈w/2⌉)."""
        first = self.first(features)
        second = self.second(self.shrink(first))
        third = self.third(second)
        return torch.cat([self.skip(first), second, third, self.fourth(third)], dim=1)


class Stdc(nn.Module):
    """The trunk without its classifier."""

    def __init__(self, blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBnRelu(3, 32, 3, 2), ConvBnRelu(32, 64, 3, 2))
        inputs = (64, *CHANNELS[:-1])
        self.stage8, self.stage16, self.stage32 = (
            _stage(before, after, count) for before, after, count in zip(inputs, CHANNELS, blocks, strict=True)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map a (N, 3, H, W) image to features with CHANNELS channels at 1/8, 1/16 and 1/32 of its size."""
        eighth = self.stage8(self.stem(image))
        sixteenth = self.stage16(eighth)
        return eighth, sixteenth, self.stage32(sixteenth)


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    rest = (ShortTermDenseConcatenation(outputs, outputs) for _ in range(blocks - 1))
    return nn.Sequential(StridedConcatenation(inputs, outputs), *rest)
