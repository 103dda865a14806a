"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-excite and with ReLU6, which int8 engines run well.

Tan and Le, "EfficientNet", ICML 2019, arXiv:1905.11946; the Lite variant is TensorFlow's of 2020. Layers are named as
in timm, so that timm's weight files of `efficientnet_lite0` (Apache-2.0) fit with `--weights FILE`. Those of
`tf_efficientnet_lite0` have the same names, but were learnt with TensorFlow's padding and another epsilon.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from edgeseg.models.blocks import features_of


class Stage(NamedTuple):
    """Blocks of an EfficientNet-Lite in a row; the first of them has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


class SeparableBlock(nn.Module):
    """3×3 depthwise convolution with ReLU6, linear 1×1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.bn1, self.act = nn.BatchNorm2d(inputs), nn.ReLU6(inplace=True)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h, w)."""
        return self.bn2(self.conv_pw(self.act(self.bn1(self.conv_dw(features)))))  # type: ignore[no-any-return]


class ExpandedBlock(nn.Module):
    """1×1 expansion and depthwise convolution with ReLU6, linear 1×1, added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.conv_pw = nn.Conv2d(inputs, hidden, 1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)
        self.conv_dw = nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False)
        self.bn2, self.act2 = nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)
        self.conv_pwl = nn.Conv2d(hidden, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        hidden = self.act1(self.bn1(self.conv_pw(features)))
        outputs: Tensor = self.bn3(self.conv_pwl(self.act2(self.bn2(self.conv_dw(hidden)))))
        return features + outputs if self.residual else outputs


class EfficientNetLite(nn.Module):
    """The trunk: features at strides 2, 4, 8, 16 and 32."""

    channels = (16, 24, 40, 112, 320)
    STAGES = (
        Stage(2, 3, 2, 6, 24),
        Stage(2, 5, 2, 6, 40),
        Stage(3, 3, 2, 6, 80),
        Stage(3, 5, 1, 6, 112),
        Stage(4, 5, 2, 6, 192),
        Stage(1, 3, 1, 6, 320),
    )

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(32), nn.ReLU6(inplace=True)
        stages, inputs = [nn.Sequential(SeparableBlock(32, 16))], 16
        for blocks, kernel, stride, expansion, outputs in self.STAGES:
            first = ExpandedBlock(inputs, outputs, kernel, stride, expansion)
            rest = (ExpandedBlock(outputs, outputs, kernel, 1, expansion) for _ in range(blocks - 1))
            stages.append(nn.Sequential(first, *rest))
            inputs = outputs
        self.blocks = nn.Sequential(*stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return features at strides 2, 4, 8, 16 and 32."""
        return features_of(self.blocks, self.act1(self.bn1(self.conv_stem(image))), (0, 1, 2, 4, 6))
