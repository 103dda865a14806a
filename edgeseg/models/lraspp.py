"""LR-ASPP on MobileNetV3-Large, from torchvision.

Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244, section 6.4.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Large_Weights
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from edgeseg.models.blocks import set_batch_norm_momentum
from edgeseg.models.pretrained import Weights, load_backbone


class LrasppMobileNetV3Large(nn.Module):
    """torchvision's network without its last upsampling: the runtime decodes scores at 1/8 of the input."""

    def __init__(self, classes: int, weights: Weights = "none") -> None:
        super().__init__()
        net = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
        self.backbone, self.classifier = net.backbone, net.classifier
        if weights == "imagenet":
            load_backbone(self.backbone, MobileNet_V3_Large_Weights.IMAGENET1K_V1, prefix="features.")
        set_batch_norm_momentum(self)

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/8⌉, ⌈W/8⌉) scores."""
        return cast(Tensor, self.classifier(self.backbone(image)))
