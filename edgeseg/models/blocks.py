"""Layers that several architectures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBnRelu(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU; padded so that stride 1 keeps the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class DepthwiseSeparable(nn.Sequential):
    """3×3 depthwise then 1×1 convolution, each with batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            ConvBnRelu(inputs, inputs, 3, stride, groups=inputs),
            ConvBnRelu(inputs, outputs, 1),
        )


def resize_like(features: Tensor, reference: Tensor) -> Tensor:
    """Resize (N, C, h, w) features to the height and width of `reference`, bilinear, half-pixel centres."""
    return F.interpolate(features, size=reference.shape[-2:], mode="bilinear", align_corners=False)


def enlarge_like(features: Tensor, reference: Tensor) -> Tensor:
    """Enlarge (N, C, h, w) features to the height and width of `reference` by repeating the nearest value.

    Nothing is computed: an int8 tensor stays on its grid.
    """
    return F.interpolate(features, size=reference.shape[-2:], mode="nearest")


def pool_to(features: Tensor, bins: int) -> Tensor:
    """Average (N, C, h, w) features over a bins × bins grid of windows, which overlap where the size does not divide.

    As `F.adaptive_avg_pool2d`. In an exported graph windows that are not all alike are two matrix products, whose
    matrices are made from the size. The exporter would gather each window's pixels, for the size it was traced at only,
    and engines are slow at that: a quarter of PSPNet's time in int8 with a MobileNetV2 in OpenVINO.
    """
    height, width = features.shape[-2:]
    divides = isinstance(height, int) and isinstance(width, int) and height % bins == 0 and width % bins == 0
    if torch.compiler.is_exporting() and not divides:
        # Features on the left: OpenVINO wants int8 with a sign on the right of a product, a convolution that reads the
        # same features without, and then computes both in float.
        return window_means(height, bins) @ (features @ window_means(width, bins).T)
    return F.adaptive_avg_pool2d(features, bins)


def window_means(length: int, bins: int) -> Tensor:
    """Return the (bins, length) matrix whose row i averages places ⌊i · length / bins⌋ to ⌈(i + 1) · length / bins⌉."""
    place, window = torch.arange(length), torch.arange(bins).unsqueeze(1)
    inside = (place >= window * length // bins) & (place < ((window + 1) * length + bins - 1) // bins)
    return inside / inside.sum(dim=1, keepdim=True)


class PyramidPooling(nn.Module):
    """Context at four scales (Zhao et al., PSPNet, CVPR 2017): pooled to b×b, projected, resized back, concatenated.

    `kernel` is that of the convolution over what was concatenated.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, bins: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.bins = bins
        self.branches = nn.ModuleList(ConvBnRelu(inputs, inputs // len(bins), 1) for _ in bins)
        self.project = ConvBnRelu(2 * inputs, outputs, kernel)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w)."""
        pooled = [
            resize_like(branch(pool_to(features, size)), features)
            for size, branch in zip(self.bins, self.branches, strict=True)
        ]
        return self.project(torch.cat([features, *pooled], dim=1))  # type: ignore[no-any-return]


class BackboneAndHead(nn.Module):
    """torchvision's segmentation networks without their last upsampling, under torchvision's names."""

    def __init__(self, backbone: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.backbone, self.classifier = backbone, classifier

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, h, w) scores."""
        return self.classifier(self.backbone(image)["out"])  # type: ignore[no-any-return]


def set_batch_norm_momentum(net: nn.Module, momentum: float = 0.1) -> None:
    """Set the momentum of every batch normalisation in `net`, to PyTorch's own if none is given.

    torchvision's MobileNetV3 has .01: in a short run the statistics of layers that start anew, be it the whole network
    or what was put on a trained trunk, lag behind then.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum


def features_of(modules: nn.Module, inputs: Tensor, taps: Sequence[int]) -> list[Tensor]:
    """Run a sequential trunk and return the outputs of the blocks numbered in `taps`."""
    found: list[Tensor] = []
    features: Any = inputs
    for number, block in enumerate(modules.children()):
        features = block(features)
        if number in taps:
            found.append(features)
    return found
