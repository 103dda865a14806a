"""DeepLabV3+ with depthwise separable convolutions, on a mobile trunk.

Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV 2018,
arXiv:1802.02611.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu, pool_to, resize_like
from edgeseg.models.encoders import make_encoder
from edgeseg.models.pretrained import Weights

RATES = (6, 12, 18)
"""Dilations at 1/16 of the input (section 3.1)."""


class AtrousSeparable(nn.Sequential):
    """Dilated 3×3 depthwise convolution, then 1×1 with batch normalisation and ReLU (figure 3c)."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False),
            ConvBnRelu(inputs, outputs, 1),
        )


class SeparablePyramid(nn.Module):
    """Atrous spatial pyramid pooling: one 1×1, three dilated convolutions and the picture's mean, side by side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [ConvBnRelu(inputs, outputs, 1), *(AtrousSeparable(inputs, outputs, rate) for rate in RATES)]
        )
        self.whole = ConvBnRelu(inputs, outputs, 1)
        self.project = ConvBnRelu((len(RATES) + 2) * outputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w)."""
        whole = resize_like(self.whole(pool_to(features, 1)), features)
        return self.project(torch.cat([*(branch(features) for branch in self.branches), whole], dim=1))  # type: ignore[no-any-return]


class DeepLabV3Plus(nn.Module):
    """Scores at 1/4 of the input: the pyramid at 1/16, joined with the trunk's fine features.

    One 3×3 separable convolution follows the pyramid and one the join, where the paper has two after the join.
    """

    def __init__(self, classes: int, weights: Weights = "none", encoder: str = "mobilenet_v2_stride16") -> None:
        super().__init__()
        self.encoder = make_encoder(encoder, weights)
        _, fine, *_, coarse = self.encoder.channels
        self.pyramid = nn.Sequential(SeparablePyramid(coarse, 256), nn.Dropout(0.5), AtrousSeparable(256, 256))
        self.fine = ConvBnRelu(fine, 48, 1)
        self.classifier = nn.Sequential(AtrousSeparable(256 + 48, 256), nn.Conv2d(256, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/4⌉, ⌈W/4⌉) scores."""
        _, fine, *_, coarse = self.encoder(image)
        context = resize_like(self.pyramid(coarse), fine)
        return self.classifier(torch.cat([context, self.fine(fine)], dim=1))  # type: ignore[no-any-return]
