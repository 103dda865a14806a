"""Mask R-CNN, from torchvision.

He et al., "Mask R-CNN", ICCV 2017, arXiv:1703.06870; over a feature pyramid, Lin et al., CVPR 2017, arXiv:1612.03144.
The second ResNet-50 is that of Li et al., "Benchmarking Detection Transfer Learning with Vision Transformers",
arXiv:2111.11429. On MobileNets it is composed here, with torchvision's parts.

Size and normalisation are the Contract's, so torchvision's own resizing, normalising and pasting of masks are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models as vision
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from edgeseg.models.blocks import set_batch_norm_momentum
from edgeseg.models.instances.outputs import DetectionOutput
from edgeseg.models.pretrained import Weights, load_backbone

SMALLEST, LARGEST, SHORTER_SIDE = 32, 512, 800
"""torchvision's anchors in pixels, the finest level's and the coarsest's, and the shorter side they are meant for."""
ASPECTS = (0.5, 1.0, 2.0)
PYRAMID = 256
PROPOSALS = 150
"""Of the composed networks, which are for small inputs: as many as torchvision's detector for 320 pixels looks at."""
SAMPLES = 128
"""Boxes of a picture that their second stage learns from: torchvision's 512 take most of a step's time on a CPU."""
MOBILENET_V2_TAPS = {"6": 32, "13": 96, "17": 320}
MOBILENET_V3_TAPS = {"6": 40, "12": 112, "15": 160}
"""Channels of the last blocks at 1/8, 1/16 and 1/32 of the input. At 1/4 the pyramid would cost more than the rest."""


class MaskRcnn(nn.Module):
    """torchvision's network between normalised images and raw masks."""

    trunk = "detector.backbone.body"
    """Where weights of a classification network belong."""

    def __init__(self, detector: MaskRCNN, anchors: AnchorGenerator) -> None:
        super().__init__()
        detector.transform, detector.rpn.anchor_generator = _AsTheyAre(), anchors
        detector.rpn.head.register_forward_hook(_in_float32)
        self.detector = detector

    def forward(self, image: Tensor) -> DetectionOutput:
        """Map one normalised (1, 3, H, W) image to its objects, in evaluation mode.

        Background is no class here. What an engine's padded tables may take for an object of it is dropped.
        """
        (found,) = self.detector(list(image.unbind()))
        objects = (found["labels"] > 0).nonzero().flatten()
        boxes, labels, scores, masks = (found[name][objects] for name in ("boxes", "labels", "scores", "masks"))
        return DetectionOutput(boxes, labels - 1, scores, masks.squeeze(1))

    def losses(self, images: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return torchvision's five losses, which are to be summed, of normalised (N, 3, H, W) images.

        Of each a target says: `boxes` float32 (n, 4) in pixels, none of them empty, `labels` int64 (n,), `masks` bool
        or uint8 (n, H, W), `crowd` bool (n,). Crowds are left out. Raises RuntimeError in evaluation mode, in which
        torchvision computes none.
        """
        if not self.training:
            raise RuntimeError("losses are for training mode; call train() first")
        losses: dict[str, Tensor] = self.detector(list(images.unbind()), [_as_torchvision(one) for one in targets])
        return losses

    def busiest(self, image: Tensor) -> None:
        """Run every layer on a (1, 3, H, W) image with as many regions and objects as it ever looks at."""
        rpn, heads = self.detector.rpn, self.detector.roi_heads
        features = self.detector.backbone(image)
        rpn.head(list(features.values()))
        channels = self.detector.backbone.out_channels
        regions = image.new_empty(rpn.post_nms_top_n(), channels, *heads.box_roi_pool.output_size)
        heads.box_predictor(heads.box_head(regions))
        objects = image.new_empty(heads.detections_per_img, channels, *heads.mask_roi_pool.output_size)
        heads.mask_predictor(heads.mask_head(objects))


class _AsTheyAre(nn.Module):
    """In the place of torchvision's transform: images are of one size and normalised, and masks stay raw."""

    def forward(self, images: list[Tensor], targets: Any = None) -> tuple[ImageList, Any]:
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        return ImageList(torch.stack(images), sizes), targets

    def postprocess(self, result: Any, image_sizes: Any, original_sizes: Any) -> Any:  # noqa: ARG002 - torchvision's
        return result


class _ExactAnchors(AnchorGenerator):  # type: ignore[misc] # torchvision is not typed
    """Anchors in float32, whatever the features are computed in.

    torchvision makes them, and the proposals from them, in the features' own arithmetic. In bf16 the sides of a box are
    whole steps of two pixels from pixel 256 on: narrow objects have no width there, and the loss is infinite.
    """

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        if feature_maps[0].dtype != torch.float32:  # only their shapes count
            feature_maps = [features.new_empty(features.shape, dtype=torch.float32) for features in feature_maps]
        anchors: list[Tensor] = super().forward(image_list, feature_maps)
        return anchors


def _in_float32(_: nn.Module, __: Any, told: tuple[list[Tensor], ...]) -> tuple[list[Tensor], ...]:
    """Return what the head says of proposals in float32, which is then the proposals' arithmetic too."""
    return tuple([values.float() for values in levels] for levels in told)


def _as_torchvision(target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a target without crowds, whose class 0 is the background."""
    single = ~target["crowd"].bool()
    return {
        "boxes": target["boxes"][single],
        "labels": target["labels"][single] + 1,
        "masks": target["masks"][single].to(torch.uint8),
    }


def make_anchors(size: tuple[int, int], levels: int, each: int) -> AnchorGenerator:
    """Return anchors for (height, width) inputs: `each` sizes a level, all in equal steps (of their logarithm).

    They are torchvision's, made smaller as the input's shorter side is smaller than the one those are meant for. With
    five levels of one size each they are those themselves.
    """
    whole, count = min(size) / SHORTER_SIDE, levels * each
    sizes = [whole * SMALLEST * (LARGEST / SMALLEST) ** (index / (count - 1)) for index in range(count)]
    by_level = tuple(tuple(sizes[level * each : (level + 1) * each]) for level in range(levels))
    return _ExactAnchors(by_level, (ASPECTS,) * levels)


def resnet50(classes: int, size: tuple[int, int], weights: Weights) -> MaskRcnn:
    """Return torchvision's `maskrcnn_resnet50_fpn`, its trunk's batch normalisations not frozen."""
    return _on_resnet50(maskrcnn_resnet50_fpn, classes, size, weights)


def resnet50_v2(classes: int, size: tuple[int, int], weights: Weights) -> MaskRcnn:
    """Return torchvision's `maskrcnn_resnet50_fpn_v2`: deeper heads, with batch normalisation."""
    return _on_resnet50(maskrcnn_resnet50_fpn_v2, classes, size, weights)


def mobilenet_v2(classes: int, size: tuple[int, int], weights: Weights) -> MaskRcnn:
    """Return Mask R-CNN on MobileNetV2 with features at 1/8 to 1/64."""
    trunk = vision.mobilenet_v2(weights=None).features
    net = _composed(trunk, MOBILENET_V2_TAPS, classes, size)
    if weights == "imagenet":
        load_backbone(net.get_submodule(net.trunk), vision.MobileNet_V2_Weights.IMAGENET1K_V1, "features.")
    return net


def mobilenet_v3_large(classes: int, size: tuple[int, int], weights: Weights) -> MaskRcnn:
    """Return Mask R-CNN on MobileNetV3-Large with features at 1/8 to 1/64."""
    trunk = vision.mobilenet_v3_large(weights=None).features
    net = _composed(trunk, MOBILENET_V3_TAPS, classes, size)
    if weights == "imagenet":
        load_backbone(net.get_submodule(net.trunk), vision.MobileNet_V3_Large_Weights.IMAGENET1K_V1, "features.")
    set_batch_norm_momentum(net)
    return net


def _on_resnet50(make: Callable[..., MaskRCNN], classes: int, size: tuple[int, int], weights: Weights) -> MaskRcnn:
    detector = make(weights=None, weights_backbone=None, num_classes=classes + 1)
    net = MaskRcnn(detector, make_anchors(size, levels=5, each=1))
    if weights == "imagenet":
        load_backbone(net.get_submodule(net.trunk), vision.ResNet50_Weights.IMAGENET1K_V1)
    return net


def _composed(trunk: nn.Module, taps: Mapping[str, int], classes: int, size: tuple[int, int]) -> MaskRcnn:
    """Return a Mask R-CNN that reads the blocks of `trunk` which `taps` name, and the coarsest of them once halved."""
    names = {block: str(level) for level, block in enumerate(taps)}
    # What these blocks give was not rectified and is large. Unless the pyramid is normalised, as that of torchvision's
    # second ResNet-50 is, the losses of masks begin at 20, and the steps they cause can ruin the network.
    backbone = BackboneWithFPN(trunk, names, list(taps.values()), PYRAMID, LastLevelMaxPool(), nn.BatchNorm2d)
    anchors = make_anchors(size, levels=len(taps) + 1, each=2)
    detector = MaskRCNN(
        backbone,
        num_classes=classes + 1,
        rpn_anchor_generator=anchors,
        rpn_pre_nms_top_n_test=PROPOSALS,
        rpn_post_nms_top_n_test=PROPOSALS,
        box_batch_size_per_image=SAMPLES,
        box_roi_pool=MultiScaleRoIAlign(list(names.values()), output_size=7, sampling_ratio=2),
        mask_roi_pool=MultiScaleRoIAlign(list(names.values()), output_size=14, sampling_ratio=2),
    )
    return MaskRcnn(detector, anchors)
