"""PSPNet.

Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017, arXiv:1612.01105.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgeseg.models.auxiliary import Auxiliary
from edgeseg.models.blocks import PyramidPooling
from edgeseg.models.encoders import make_encoder
from edgeseg.models.pretrained import Weights


class PspNet(nn.Module):
    """Scores at 1/8 of the input: a dilated trunk, then context at four scales."""

    def __init__(
        self, classes: int, weights: Weights, encoder: str, width: int, auxiliary: tuple[Auxiliary, ...]
    ) -> None:
        """Build on `encoder`, a name in `ENCODERS` with output at stride 8; `width` is that of the last features."""
        super().__init__()
        self.auxiliary = auxiliary
        self.encoder = make_encoder(encoder, weights)
        self.pyramid = PyramidPooling(self.encoder.channels[-1], width, kernel=3)
        self.classifier = nn.Sequential(nn.Dropout(0.1), nn.Conv2d(width, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/8⌉, ⌈W/8⌉) scores."""
        return self.classifier(self.pyramid(self.encoder(image)[-1]))  # type: ignore[no-any-return]


def pspnet_resnet50(classes: int, weights: Weights = "none") -> PspNet:
    """Return the paper's network on ResNet-50, with its auxiliary head at the stage before the last."""
    return PspNet(classes, weights, "resnet50_stride8", 512, (Auxiliary("encoder.layer3", hidden=256),))


def pspnet_mobilenet_v2(classes: int, weights: Weights = "none") -> PspNet:
    """Return a light one on MobileNetV2."""
    return PspNet(classes, weights, "mobilenet_v2_stride8", 128, (Auxiliary("encoder.13", hidden=64),))
