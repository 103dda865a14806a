"""What DDRNet and PIDNet are made of: residual stages, and context pooled at five scales.

Hong et al., arXiv:2101.06085; Xu et al., arXiv:2206.02066. Both papers normalise *before* some convolutions; here a
batch normalisation follows each convolution instead, because only there it can be folded away, and an engine would
else compute it at every pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu, resize_like

POOLS = ((5, 2), (9, 4), (17, 8))
"""Kernel and stride of the averages; the fourth is over the whole picture."""


class ConvBn(nn.Sequential):
    """Convolution without bias and batch normalisation, without an activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        )


class Residual(nn.Module):
    """A body added to its input, which is projected where their shapes differ; no activation after the sum."""

    def __init__(self, body: nn.Module, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = body
        same = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if same else ConvBn(inputs, outputs, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        return self.body(features) + self.skip(features)  # type: ignore[no-any-return]


def basic(inputs: int, outputs: int, stride: int = 1) -> Residual:
    """Return two 3×3 convolutions with a shortcut."""
    body = nn.Sequential(ConvBnRelu(inputs, outputs, 3, stride), ConvBn(outputs, outputs))
    return Residual(body, inputs, outputs, stride)


def bottleneck(inputs: int, width: int, stride: int = 1) -> Residual:
    """Return 1×1, 3×3 and 1×1 convolutions to 2 · width channels with a shortcut."""
    body = nn.Sequential(ConvBnRelu(inputs, width, 1), ConvBnRelu(width, width, 3, stride), ConvBn(width, 2 * width, 1))
    return Residual(body, inputs, 2 * width, stride)


def stage(
    block: Callable[[int, int, int], Residual], inputs: int, width: int, blocks: int, stride: int = 1
) -> nn.Module:
    """Return `blocks` of a kind, with a ReLU after each but the last: branches meet before theirs."""
    layers: list[nn.Module] = [block(inputs, width, stride)]
    for _ in range(blocks - 1):
        layers += [nn.ReLU(), block(width if block is basic else 2 * width, width, 1)]
    return nn.Sequential(*layers)


class CoarseToFine(nn.Module):
    """Coarse features, projected and resized, added to fine ones."""

    def __init__(self, coarse: int, fine: int, kernel: int = 1) -> None:
        super().__init__()
        self.project = ConvBn(coarse, fine, kernel)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return features of the shape of `fine`."""
        return fine + resize_like(self.project(coarse), fine)


class ScalePooling(nn.Module):
    """Projections of the features themselves and of their averages at four scales, each at the features' own size."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.own = ConvBn(inputs, width, 1)
        self.pools = nn.ModuleList(nn.AvgPool2d(kernel, stride, kernel // 2) for kernel, stride in POOLS)
        self.pools.append(nn.AdaptiveAvgPool2d(1))
        self.project = nn.ModuleList(ConvBn(inputs, width, 1) for _ in self.pools)

    def forward(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map rectified (N, inputs, h, w) to its (N, width, h, w) projection and those of its averages."""
        averages = (project(pool(features)) for pool, project in zip(self.pools, self.project, strict=True))
        return self.own(features), [resize_like(average, features) for average in averages]


class DeepAggregationPyramid(nn.Module):
    """DAPPM: each scale is added to the one before it and convolved (DDRNet, figure 5)."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.scales = ScalePooling(inputs, width)
        self.process = nn.ModuleList(ConvBn(width, width) for _ in range(4))
        self.compress, self.skip = ConvBn(5 * width, outputs, 1), ConvBn(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map rectified (N, inputs, h, w) to (N, outputs, h, w), not rectified."""
        own, averages = self.scales(features)
        found = [own]
        for process, average in zip(self.process, averages, strict=True):
            found.append(process(F.relu(average + found[-1])))
        return self.compress(F.relu(torch.cat(found, dim=1))) + self.skip(features)  # type: ignore[no-any-return]


class ParallelAggregationPyramid(nn.Module):
    """PAPPM: every scale is added to the features themselves; one grouped convolution for all (PIDNet, figure 6)."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.scales = ScalePooling(inputs, width)
        self.process = ConvBn(4 * width, 4 * width, groups=4)
        self.compress, self.skip = ConvBn(5 * width, outputs, 1), ConvBn(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map rectified (N, inputs, h, w) to (N, outputs, h, w), not rectified."""
        own, averages = self.scales(features)
        scales = self.process(F.relu(torch.cat([average + own for average in averages], dim=1)))
        return self.compress(F.relu(torch.cat([own, scales], dim=1))) + self.skip(features)  # type: ignore[no-any-return]


def head(inputs: int, hidden: int, classes: int) -> nn.Sequential:
    """Return the classifier of rectified features."""
    return nn.Sequential(ConvBnRelu(inputs, hidden), nn.Conv2d(hidden, classes, 1))
