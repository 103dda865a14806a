"""The table of architectures that tell objects apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from edgeseg.models.encoders import ENCODERS
from edgeseg.models.instances import maskrcnn
from edgeseg.models.instances.yolact import Widths, Yolact
from edgeseg.models.pretrained import Weights
from edgeseg.models.spec import IMAGENET, OWN, TORCHVISION, Published, Spec
from edgeseg_runtime.errors import ConfigError


@dataclass(frozen=True)
class InstanceSpec(Spec[Callable[[int, tuple[int, int], Weights], nn.Module]]):
    """How to build an architecture that tells objects apart.

    `build`: (classes, (height, width), weights) → a module that maps normalised (N, 3, height, width) images to a
    PrototypeOutput, in training and evaluation alike, or, for `detections`, in evaluation one image to a
    DetectionOutput, with a method `losses(images, targets)` for training.
    """

    output: Literal["prototypes", "detections"] = "prototypes"
    """What it gives: see `edgeseg_runtime.contract.OUTPUTS`."""


def _yolact(encoder: str, widths: Widths) -> InstanceSpec:
    pretrained = ENCODERS[encoder].weights is not None
    return InstanceSpec(
        lambda classes, _, weights: Yolact(classes, weights, encoder, widths),
        64,
        "arXiv:1904.02689",
        TORCHVISION if pretrained else OWN,
        IMAGENET if pretrained else None,
    )


def _maskrcnn(
    build: Callable[[int, tuple[int, int], Weights], nn.Module], published: Published | None = None
) -> InstanceSpec:
    return InstanceSpec(build, 64, "arXiv:1703.06870", TORCHVISION, IMAGENET, published, output="detections")


def _torchvision(parameters: float, gmacs: float, name: str, objects: int) -> Published:
    source = f"torchvision's {name}, of noise in which it sees {objects} objects"
    return Published(parameters, gmacs, (800, 800), 90, source)


INSTANCE_MODELS: Mapping[str, InstanceSpec] = {
    "yolact_mobilenet_v2": _yolact("mobilenet_v2", Widths(pyramid=64, depth=2)),
    "yolact_shufflenet_v2_x0_5": _yolact("shufflenet_v2_x0_5", Widths(pyramid=48, depth=1)),
    "yolact_bricknet_s": _yolact("bricknet_s", Widths(pyramid=64, depth=2)),
    "yolact_bricknet_m": _yolact("bricknet_m", Widths(pyramid=64, depth=2)),
    "maskrcnn_mobilenet_v2_fpn": _maskrcnn(maskrcnn.mobilenet_v2),
    "maskrcnn_mobilenet_v3_large_fpn": _maskrcnn(maskrcnn.mobilenet_v3_large),
    "maskrcnn_resnet50_fpn": _maskrcnn(
        maskrcnn.resnet50, _torchvision(44.401393, 134.38, "MaskRCNN_ResNet50_FPN_Weights", 0)
    ),
    "maskrcnn_resnet50_fpn_v2": _maskrcnn(
        maskrcnn.resnet50_v2, _torchvision(46.359409, 333.577, "MaskRCNN_ResNet50_FPN_V2_Weights", 100)
    ),
}


def instance_spec(name: str) -> InstanceSpec:
    """Look an architecture up. Raises ConfigError listing the known ones."""
    if name not in INSTANCE_MODELS:
        raise ConfigError(f"model {name!r} tells no objects apart; choose one of {', '.join(INSTANCE_MODELS)}")
    return INSTANCE_MODELS[name]


def build_instance(name: str, classes: int, size: tuple[int, int], weights: Weights = "none") -> nn.Module:
    """Build architecture `name` for `classes` classes of objects, background not counted, and (height, width) inputs.

    Raises ConfigError when the name is unknown, the size is too small for it, or it has no such weights, and
    CheckpointError when the weights cannot be had.
    """
    spec = instance_spec(name)
    spec.check(name, size, weights)
    return spec.build(classes, size, weights)
