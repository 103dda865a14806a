"""DeepLabV3, from torchvision.

Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017, arXiv:1706.05587.
"""

from __future__ import annotations

from torchvision import models as vision
from torchvision.models import segmentation

from edgeseg.models.auxiliary import Auxiliary
from edgeseg.models.blocks import BackboneAndHead, set_batch_norm_momentum
from edgeseg.models.pretrained import Weights, load_backbone


class DeepLabV3ResNet50(BackboneAndHead):
    """Scores at 1/8 of the input."""

    auxiliary = (Auxiliary("backbone.layer3", hidden=256),)

    def __init__(self, classes: int, weights: Weights = "none") -> None:
        net = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=classes)
        super().__init__(net.backbone, net.classifier)
        if weights == "imagenet":
            load_backbone(self.backbone, vision.ResNet50_Weights.IMAGENET1K_V1)


class DeepLabV3MobileNetV3Large(BackboneAndHead):
    """Scores at 1/16 of the input."""

    auxiliary = (Auxiliary("backbone.4", hidden=10),)  # where and as wide as torchvision's own head

    def __init__(self, classes: int, weights: Weights = "none") -> None:
        net = segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
        super().__init__(net.backbone, net.classifier)
        if weights == "imagenet":
            load_backbone(self.backbone, vision.MobileNet_V3_Large_Weights.IMAGENET1K_V1, prefix="features.")
        set_batch_norm_momentum(self)
