"""U-Net with a MobileNetV2 encoder.

Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, arXiv:1505.04597, for the decoder with skips;
Sandler et al., "MobileNetV2", CVPR 2018, arXiv:1801.04381, for the encoder (torchvision's).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from edgeseg.models.blocks import ConvBnRelu, features_of, resize_like
from edgeseg.models.pretrained import Weights, load_backbone

TAPS = (1, 3, 6, 13, 17)
"""Blocks of torchvision's MobileNetV2 whose outputs are the last at strides 2, 4, 8, 16 and 32."""
TAP_CHANNELS = (16, 24, 32, 96, 320)
DECODER_CHANNELS = (128, 96, 64, 48)


class DecoderBlock(nn.Module):
    """Upsample to the skip's size, concatenate, two 3×3 convolutions."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvBnRelu(inputs + skip, outputs), ConvBnRelu(outputs, outputs))

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Return (N, outputs, h, w) at the skip's size."""
        return self.body(torch.cat([resize_like(features, skip), skip], dim=1))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Scores at half the input's size: the last doubling costs a quarter of the network and adds no detail."""

    def __init__(self, classes: int, weights: Weights = "none") -> None:
        super().__init__()
        self.encoder = mobilenet_v2(weights=None).features[: TAPS[-1] + 1]
        if weights == "imagenet":
            load_backbone(self.encoder, MobileNet_V2_Weights.IMAGENET1K_V1, prefix="features.")
        channels = TAP_CHANNELS[::-1]
        inputs = (channels[0], *DECODER_CHANNELS[:-1])
        self.decoder = nn.ModuleList(
            DecoderBlock(before, skip, after)
            for before, skip, after in zip(inputs, channels[1:], DECODER_CHANNELS, strict=True)
        )
        self.head = nn.Conv2d(DECODER_CHANNELS[-1], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/2⌉, ⌈W/2⌉) scores."""
        *skips, features = features_of(self.encoder, image, TAPS)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            features = block(features, skip)
        return self.head(features)  # type: ignore[no-any-return]
