"""FCN on a dilated ResNet, from torchvision.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, arXiv:1411.4038.
"""

from __future__ import annotations

from torchvision import models as vision
from torchvision.models import segmentation

from edgeseg.models.auxiliary import Auxiliary
from edgeseg.models.blocks import BackboneAndHead
from edgeseg.models.pretrained import Weights, load_backbone


class FcnResNet50(BackboneAndHead):
    """Scores at 1/8 of the input."""

    auxiliary = (Auxiliary("backbone.layer3", hidden=256),)

    def __init__(self, classes: int, weights: Weights = "none") -> None:
        net = segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=classes)
        super().__init__(net.backbone, net.classifier)
        if weights == "imagenet":
            load_backbone(self.backbone, vision.ResNet50_Weights.IMAGENET1K_V1)


class FcnResNet101(BackboneAndHead):
    """Scores at 1/8 of the input."""

    auxiliary = (Auxiliary("backbone.layer3", hidden=256),)

    def __init__(self, classes: int, weights: Weights = "none") -> None:
        net = segmentation.fcn_resnet101(weights=None, weights_backbone=None, num_classes=classes)
        super().__init__(net.backbone, net.classifier)
        if weights == "imagenet":
            load_backbone(self.backbone, vision.ResNet101_Weights.IMAGENET1K_V1)
