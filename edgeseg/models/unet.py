"""U-Net with a classification trunk as its encoder.

Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, arXiv:1505.04597, for the decoder with skips;
the default encoder is MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381), torchvision's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu, resize_like
from edgeseg.models.encoders import make_encoder
from edgeseg.models.pretrained import Weights

DECODER_CHANNELS = (128, 96, 64, 48)
NARROW_DECODER = (64, 48, 32, 24)
"""For trunks whose finest features have few channels."""


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

    def __init__(
        self,
        classes: int,
        weights: Weights = "none",
        encoder: str = "mobilenet_v2",
        decoder: Sequence[int] = DECODER_CHANNELS,
    ) -> None:
        """Build for `encoder`, a name in `ENCODERS`; `decoder` are the widths of its blocks, the coarsest first."""
        super().__init__()
        self.encoder = make_encoder(encoder, weights)
        channels = self.encoder.channels[::-1]
        inputs = (channels[0], *decoder[:-1])
        self.decoder = nn.ModuleList(
            DecoderBlock(before, skip, after) for before, skip, after in zip(inputs, channels[1:], decoder, strict=True)
        )
        self.head = nn.Conv2d(decoder[-1], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/2⌉, ⌈W/2⌉) scores."""
        *skips, features = self.encoder(image)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            features = block(features, skip)
        return self.head(features)  # type: ignore[no-any-return]
