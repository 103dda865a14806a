"""The table of architectures that give scores of classes. Those that tell objects apart: `instances/registry.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from edgeseg.models.bisenetv2 import BiSeNetV2
from edgeseg.models.bricknet import MEDIUM, SMALL, TINY, BrickNet
from edgeseg.models.ddrnet import DdrNet23Slim
from edgeseg.models.deeplabv3 import DeepLabV3MobileNetV3Large, DeepLabV3ResNet50
from edgeseg.models.deeplabv3plus import DeepLabV3Plus
from edgeseg.models.fast_scnn import FastScnn
from edgeseg.models.fcn import FcnResNet50, FcnResNet101
from edgeseg.models.lraspp import LrasppMobileNetV3Large
from edgeseg.models.pidnet import PidNetS
from edgeseg.models.pp_liteseg import pp_liteseg_b, pp_liteseg_t
from edgeseg.models.pretrained import Weights
from edgeseg.models.pspnet import pspnet_mobilenet_v2, pspnet_resnet50
from edgeseg.models.segformer import SegFormerB0
from edgeseg.models.segnet import SegNet
from edgeseg.models.spec import IMAGENET, TORCHVISION, Published, Spec
from edgeseg.models.unet import NARROW_DECODER, UNet
from edgeseg_runtime.errors import ConfigError


@dataclass(frozen=True)
class ModelSpec(Spec[Callable[[int, Weights], nn.Module]]):
    """How to build an architecture that gives scores of classes.

    `build`: (classes, weights) → a module mapping normalised (N, 3, H, W) to (N, classes, h, w) scores, h ≤ H, w ≤ W.
    The last upsampling is left to the runtime. See `edgeseg.models.auxiliary` for heads that only training needs.
    """


def _torchvision(parameters: float, gmacs: float, name: str, *, with_heads: bool = True) -> Published:
    return Published(parameters, gmacs, (520, 520), 21, f"torchvision's {name}", with_heads)


SEGNET = Published(29.46, 143.015, (360, 640), 20, "table 3 of ENet, arXiv:1606.02147 (286.03 GFLOPs)")

MODELS: Mapping[str, ModelSpec] = {
    "fast_scnn": ModelSpec(
        lambda classes, _: FastScnn(classes),
        64,
        "arXiv:1902.04502",
        published=Published(1.11, None, (1024, 2048), 19, "table 2 of the paper"),
    ),
    "lraspp_mobilenet_v3_large": ModelSpec(
        LrasppMobileNetV3Large,
        32,
        "arXiv:1905.02244",
        TORCHVISION,
        IMAGENET,
        _torchvision(3.221538, 2.086, "LRASPP_MobileNet_V3_Large_Weights", with_heads=False),
    ),
    "deeplabv3_mobilenet_v3_large": ModelSpec(
        DeepLabV3MobileNetV3Large,
        32,
        "arXiv:1706.05587",
        TORCHVISION,
        IMAGENET,
        _torchvision(11.029328, 10.452, "DeepLabV3_MobileNet_V3_Large_Weights"),
    ),
    "deeplabv3_resnet50": ModelSpec(
        DeepLabV3ResNet50,
        32,
        "arXiv:1706.05587",
        TORCHVISION,
        IMAGENET,
        _torchvision(42.004074, 178.722, "DeepLabV3_ResNet50_Weights"),
    ),
    "deeplabv3plus_mobilenet_v2": ModelSpec(DeepLabV3Plus, 32, "arXiv:1802.02611", TORCHVISION, IMAGENET),
    "fcn_resnet50": ModelSpec(
        FcnResNet50,
        32,
        "arXiv:1411.4038",
        TORCHVISION,
        IMAGENET,
        _torchvision(35.322218, 152.717, "FCN_ResNet50_Weights"),
    ),
    "fcn_resnet101": ModelSpec(
        FcnResNet101,
        32,
        "arXiv:1411.4038",
        TORCHVISION,
        IMAGENET,
        _torchvision(54.314346, 232.738, "FCN_ResNet101_Weights"),
    ),
    "pspnet_mobilenet_v2": ModelSpec(pspnet_mobilenet_v2, 32, "arXiv:1612.01105", TORCHVISION, IMAGENET),
    "pspnet_resnet50": ModelSpec(
        pspnet_resnet50,
        32,
        "arXiv:1612.01105",
        TORCHVISION,
        IMAGENET,
        Published(46.5827, 178.586, (512, 512), 21, "Open Model Zoo's pspnet-pytorch (357.1719 GFLOPs)"),
    ),
    "segnet": ModelSpec(SegNet, 32, "arXiv:1511.00561", TORCHVISION, IMAGENET, SEGNET),
    "segnet_unpooling": ModelSpec(
        partial(SegNet, unpooling=True), 32, "arXiv:1511.00561", TORCHVISION, IMAGENET, SEGNET
    ),
    "bisenetv2": ModelSpec(
        lambda classes, _: BiSeNetV2(classes),
        32,
        "arXiv:2004.02147",
        published=Published(
            3.4, 21.15, (512, 1024), 19, "the paper (21.15 GFLOPs); later papers' tables (3.4 million)"
        ),
    ),
    "bricknet_t": ModelSpec(lambda classes, _: BrickNet(classes, TINY), 64, "none: see bricknet.py"),
    "bricknet_s": ModelSpec(lambda classes, _: BrickNet(classes, SMALL), 64, "none: see bricknet.py"),
    "bricknet_m": ModelSpec(lambda classes, _: BrickNet(classes, MEDIUM), 64, "none: see bricknet.py"),
    "ddrnet23_slim": ModelSpec(
        lambda classes, _: DdrNet23Slim(classes),
        64,
        "arXiv:2101.06085",
        published=Published(5.7, 36.3, (1024, 2048), 19, "the paper's table of results on Cityscapes"),
    ),
    "pidnet_s": ModelSpec(
        lambda classes, _: PidNetS(classes),
        64,
        "arXiv:2206.02066",
        published=Published(7.6, 47.6, (1024, 2048), 19, "the paper's table of results on Cityscapes"),
    ),
    "pp_liteseg_t": ModelSpec(lambda classes, _: pp_liteseg_t(classes), 32, "arXiv:2204.02681"),
    "pp_liteseg_b": ModelSpec(lambda classes, _: pp_liteseg_b(classes), 32, "arXiv:2204.02681"),
    "segformer_b0": ModelSpec(
        lambda classes, _: SegFormerB0(classes),
        32,
        "arXiv:2105.15203",
        published=Published(3.8, 8.4, (512, 512), 150, "table 1 of the paper"),
    ),
    "unet": ModelSpec(UNet, 32, "arXiv:1505.04597", TORCHVISION, IMAGENET),
    "unet_efficientnet_lite0": ModelSpec(partial(UNet, encoder="efficientnet_lite0"), 32, "arXiv:1505.04597"),
    "unet_mobilenet_v4_conv_small": ModelSpec(partial(UNet, encoder="mobilenet_v4_conv_small"), 32, "arXiv:1505.04597"),
    "unet_resnet18": ModelSpec(partial(UNet, encoder="resnet18"), 32, "arXiv:1505.04597", TORCHVISION, IMAGENET),
    "unet_resnet34": ModelSpec(partial(UNet, encoder="resnet34"), 32, "arXiv:1505.04597", TORCHVISION, IMAGENET),
    "unet_shufflenet_v2_x0_5": ModelSpec(
        partial(UNet, encoder="shufflenet_v2_x0_5", decoder=NARROW_DECODER),
        32,
        "arXiv:1505.04597",
        TORCHVISION,
        IMAGENET,
    ),
}


def model_spec(name: str) -> ModelSpec:
    """Look an architecture up. Raises ConfigError listing the known ones."""
    if name not in MODELS:
        raise ConfigError(f"model {name!r} is unknown; choose one of {', '.join(MODELS)}")
    return MODELS[name]


def build(name: str, classes: int, size: tuple[int, int], weights: Weights = "none") -> nn.Module:
    """Build architecture `name` for `classes` classes and (height, width) inputs.

    Raises ConfigError when the name is unknown, the size is too small for it, or it has no such weights, and
    CheckpointError when the weights cannot be had.
    """
    spec = model_spec(name)
    spec.check(name, size, weights)
    return spec.build(classes, weights)
