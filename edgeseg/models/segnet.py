"""SegNet on VGG-16 with batch normalisation.

Badrinarayanan, Kendall and Cipolla, "SegNet", TPAMI 2017, arXiv:1511.00561. By default its decoder interpolates where
the paper puts values back where they were pooled from: in ONNX Runtime and OpenVINO that unpooling alone takes many
times as long as the rest of the network. It is not continuous either: where two pooled values are nearly equal,
another order of the same sums puts them back a pixel further on, so no file draws exactly the masks of the original.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torchvision.models import VGG16_BN_Weights, vgg16_bn

from edgeseg.models.blocks import ConvBnRelu, resize_like
from edgeseg.models.pretrained import Weights, load_backbone

DECODER = ((512, 512, 512, 512), (512, 512, 512, 256), (256, 256, 256, 128), (128, 128, 64), (64, 64))
"""Channels through each decoder stage, the coarsest first."""


class SegNet(nn.Module):
    """Scores at the input's size, from a decoder that mirrors the encoder."""

    def __init__(self, classes: int, weights: Weights = "none", *, unpooling: bool = False) -> None:
        super().__init__()
        self.unpool = nn.MaxUnpool2d(2) if unpooling else None
        self.encoder = vgg16_bn(weights=None).features
        if weights == "imagenet":
            load_backbone(self.encoder, VGG16_BN_Weights.IMAGENET1K_V1, prefix="features.")
        for layer in self.encoder:
            if isinstance(layer, nn.MaxPool2d):
                layer.return_indices = unpooling
        self.decoder = nn.ModuleList(
            nn.Sequential(*(ConvBnRelu(*pair) for pair in pairwise(widths))) for widths in DECODER
        )
        self.head = nn.Conv2d(DECODER[-1][-1], classes, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, H, W) scores."""
        features, before, places = image, [], []
        for layer in self.encoder:
            if isinstance(layer, nn.MaxPool2d):
                before.append(features)
            if isinstance(layer, nn.MaxPool2d) and self.unpool is not None:
                features, where = layer(features)
                places.append(where)
            else:
                features = layer(features)
        for stage in self.decoder:
            fine = before.pop()
            if self.unpool is None:
                features = resize_like(features, fine)
            else:
                features = self.unpool(features, places.pop(), output_size=fine.shape[-2:])
            features = stage(features)
        return self.head(features)  # type: ignore[no-any-return]
