"""Encoders: classification trunks that give features at several strides, with the ImageNet weights they may start from.

An encoder is a module that maps a normalised (N, 3, H, W) image to a list of features, the finest first, and says how
many `channels` each has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torchvision import models as vision

from edgeseg.models.blocks import features_of
from edgeseg.models.bricknet import MEDIUM, SMALL, BrickEncoder
from edgeseg.models.efficientnet_lite import EfficientNetLite
from edgeseg.models.mobilenet_v4 import MobileNetV4Small
from edgeseg.models.pretrained import Weights, load_backbone
from edgeseg.models.shuffle_unit import ShuffleUnit
from edgeseg_runtime.errors import CheckpointError


class Trunk(nn.Sequential):
    """A sequential trunk that returns what the blocks numbered in `taps` make."""

    def __init__(self, blocks: Mapping[str, nn.Module], taps: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__(OrderedDict(blocks))
        self.taps, self.channels = tuple(taps), tuple(channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the tapped features, the finest first."""
        return features_of(self, image, self.taps)


@dataclass(frozen=True)
class EncoderSpec:
    """How to make an encoder, and which weights fit it."""

    build: Callable[[], Any]
    weights: Any = None
    """Member of a torchvision weights enum; None where torchvision has none."""
    prefix: str = ""
    """What the names of the trunk's tensors begin with in that file."""


def mobilenet_v2(output_stride: int = 32) -> Trunk:
    """Return MobileNetV2 without its last expansion, which only classifies, its last blocks dilated for the stride."""
    blocks = vision.mobilenet_v2(weights=None).features[:18]
    dilation = 1
    for first, end, stride in ((7, 14, 16), (14, 18, 32)):
        if output_stride < stride:
            dilation *= 2
            dilate(blocks[first:end], dilation)
    return Trunk(dict(blocks.named_children()), (1, 3, 6, 13, 17), (16, 24, 32, 96, 320))


def resnet(depth: int, output_stride: int = 32) -> Trunk:
    """Return a ResNet of 18, 34, 50 or 101 layers; from 50 on its last stages can be dilated for the stride."""
    dilated = [False, output_stride <= 8, output_stride <= 16]
    net = getattr(vision, f"resnet{depth}")(weights=None, replace_stride_with_dilation=dilated)
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    wide = 4 if depth >= 50 else 1
    channels = (64, *(wide * width for width in (64, 128, 256, 512)))
    return Trunk({name: getattr(net, name) for name in names}, (2, 4, 5, 6, 7), channels)


def shufflenet_v2_x0_5() -> Trunk:
    """Return ShuffleNetV2 at half width without its last 1×1, which only classifies (Ma et al., arXiv:1807.11164)."""
    net = vision.shufflenet_v2_x0_5(weights=None, inverted_residual=ShuffleUnit)
    names = ("conv1", "maxpool", "stage2", "stage3", "stage4")
    return Trunk({name: getattr(net, name) for name in names}, range(5), (24, 24, 48, 96, 192))


def dilate(blocks: nn.Module, dilation: int) -> None:
    """Take the strides out of the convolutions of `blocks` and spread their kernels, so that the field of view stays.

    As DeepLab does; the first strided convolution still sees the undilated grid, and keeps half the dilation.
    """
    for layer in blocks.modules():
        if isinstance(layer, nn.Conv2d):
            spread = dilation // 2 if layer.stride[0] > 1 else dilation
            layer.stride = (1, 1)
            if layer.kernel_size[0] > 1:
                layer.dilation = (spread, spread)
                layer.padding = (spread * (layer.kernel_size[0] // 2), spread * (layer.kernel_size[1] // 2))


ENCODERS: Mapping[str, EncoderSpec] = {
    "mobilenet_v2": EncoderSpec(mobilenet_v2, vision.MobileNet_V2_Weights.IMAGENET1K_V1, "features."),
    "mobilenet_v2_stride8": EncoderSpec(
        lambda: mobilenet_v2(8), vision.MobileNet_V2_Weights.IMAGENET1K_V1, "features."
    ),
    "mobilenet_v2_stride16": EncoderSpec(
        lambda: mobilenet_v2(16), vision.MobileNet_V2_Weights.IMAGENET1K_V1, "features."
    ),
    "bricknet_s": EncoderSpec(lambda: BrickEncoder(SMALL)),
    "bricknet_m": EncoderSpec(lambda: BrickEncoder(MEDIUM)),
    "mobilenet_v4_conv_small": EncoderSpec(MobileNetV4Small),
    "efficientnet_lite0": EncoderSpec(EfficientNetLite),
    "resnet18": EncoderSpec(lambda: resnet(18), vision.ResNet18_Weights.IMAGENET1K_V1),
    "resnet34": EncoderSpec(lambda: resnet(34), vision.ResNet34_Weights.IMAGENET1K_V1),
    "resnet50_stride8": EncoderSpec(lambda: resnet(50, 8), vision.ResNet50_Weights.IMAGENET1K_V1),
    "shufflenet_v2_x0_5": EncoderSpec(shufflenet_v2_x0_5, vision.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1),
}


def make_encoder(name: str, weights: Weights = "none") -> Any:
    """Return the encoder `name`, from scratch or with ImageNet weights. Raises CheckpointError as `load_backbone`."""
    spec = ENCODERS[name]
    if weights == "imagenet" and spec.weights is None:
        raise CheckpointError(f"{name} has no ImageNet weights in torchvision; give some with --weights FILE")
    encoder = spec.build()
    if weights == "imagenet":
        load_backbone(encoder, spec.weights, spec.prefix)
    return encoder
