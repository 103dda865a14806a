"""Fast-SCNN.

Poudel, Liwicki and Cipolla, "Fast-SCNN: Fast Semantic Segmentation Network", BMVC 2019, arXiv:1902.04502, table 1.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu, DepthwiseSeparable, PyramidPooling, resize_like


class InvertedResidual(nn.Module):
    """MobileNetV2's bottleneck: 1×1 expansion, 3×3 depthwise, linear 1×1, added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.body = nn.Sequential(
            ConvBnRelu(inputs, hidden, 1),
            ConvBnRelu(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        outputs: Tensor = self.body(inputs)
        return inputs + outputs if self.residual else outputs


class FeatureFusion(nn.Module):
    """Coarse context, upsampled and smoothed by a depthwise convolution, added to fine detail."""

    def __init__(self, fine: int, coarse: int, outputs: int) -> None:
        super().__init__()
        self.smooth = ConvBnRelu(coarse, coarse, 3, groups=coarse)
        self.coarse = nn.Sequential(nn.Conv2d(coarse, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.fine = nn.Sequential(nn.Conv2d(fine, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return features at the size of `fine`."""
        return F.relu(self.fine(fine) + self.coarse(self.smooth(resize_like(coarse, fine))))


class FastScnn(nn.Module):
    """Scores at 1/8 of the input from a shallow fine branch and a deep coarse one."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.downsample = nn.Sequential(
            ConvBnRelu(3, 32, 3, 2),
            DepthwiseSeparable(32, 48, 2),
            DepthwiseSeparable(48, 64, 2),
        )
        self.context = nn.Sequential(
            *_stage(64, 64, 2),
            *_stage(64, 96, 2),
            *_stage(96, 128, 1),
            PyramidPooling(128, 128),
        )
        self.fusion = FeatureFusion(64, 128, 128)
        self.classifier = nn.Sequential(
            DepthwiseSeparable(128, 128),
            DepthwiseSeparable(128, 128),
            nn.Dropout(0.1),
            nn.Conv2d(128, classes, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/8⌉, ⌈W/8⌉) scores."""
        fine = self.downsample(image)
        return self.classifier(self.fusion(fine, self.context(fine)))  # type: ignore[no-any-return]


def _stage(inputs: int, outputs: int, stride: int, blocks: int = 3) -> list[nn.Module]:
    first = InvertedResidual(inputs, outputs, stride, expansion=6)
    return [first, *(InvertedResidual(outputs, outputs, 1, expansion=6) for _ in range(blocks - 1))]
