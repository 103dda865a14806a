"""Features at several strides that know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu, enlarge_like


class Pyramid(nn.Module):
    """A way down that brings meaning to the fine features, then a way up that brings places to the coarse ones.

    Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, arXiv:1612.03144; Liu et al., "Path
    Aggregation Network for Instance Segmentation", CVPR 2018, arXiv:1803.01534. Features are added, not concatenated:
    that halves what the next convolution reads.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        """Take features with `channels`, the finest first, each half as fine as the one before."""
        super().__init__()
        steps = range(len(channels) - 1)
        self.lateral = nn.ModuleList(ConvBnRelu(inputs, width, 1) for inputs in channels)
        self.down = nn.ModuleList(ConvBnRelu(width, width) for _ in steps)
        self.shrink = nn.ModuleList(ConvBnRelu(width, width, stride=2) for _ in steps)
        self.up = nn.ModuleList(ConvBnRelu(width, width) for _ in steps)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Map features to as many of the same sizes, each with `width` channels."""
        levels = [project(level) for project, level in zip(self.lateral, features, strict=True)]
        for fine, coarse in reversed(list(pairwise(range(len(levels))))):
            levels[fine] = self.down[fine](levels[fine] + enlarge_like(levels[coarse], levels[fine]))
        for fine, coarse in pairwise(range(len(levels))):
            levels[coarse] = self.up[fine](levels[coarse] + self.shrink[fine](levels[fine]))
        return levels
