"""The table of architectures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from edgeseg.models.fast_scnn import FastScnn
from edgeseg.models.lraspp import LrasppMobileNetV3Large
from edgeseg.models.pretrained import Weights
from edgeseg.models.unet import UNet
from edgeseg_runtime.errors import ConfigError


@dataclass(frozen=True)
class ModelSpec:
    """How to build an architecture and what it needs."""

    build: Callable[[int, Weights], nn.Module]
    """(classes, weights) → a module mapping normalised (N, 3, H, W) to (N, classes, h, w) scores, h ≤ H, w ≤ W."""
    minimum: int
    """Smallest input height and width that leaves something to look at in the coarsest layer."""
    pretrained: bool
    """Whether ImageNet weights exist for its backbone."""
    paper: str


MODELS: Mapping[str, ModelSpec] = {
    "fast_scnn": ModelSpec(lambda classes, _: FastScnn(classes), 64, False, "arXiv:1902.04502"),
    "lraspp_mobilenet_v3_large": ModelSpec(LrasppMobileNetV3Large, 32, True, "arXiv:1905.02244"),
    "unet": ModelSpec(UNet, 32, True, "arXiv:1505.04597"),
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
    if min(size) < spec.minimum:
        raise ConfigError(f"{name} needs inputs of at least {spec.minimum}×{spec.minimum}, got {size[0]}×{size[1]}")
    if weights == "imagenet" and not spec.pretrained:
        able = ", ".join(known for known, other in MODELS.items() if other.pretrained)
        raise ConfigError(f"{name} has no ImageNet weights; train it with --weights none (these have some: {able})")
    return spec.build(classes, weights)
