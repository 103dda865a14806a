"""MobileNetV4-Conv-S: ReLU, plain and depthwise convolutions, nothing else.

Qin et al., "MobileNetV4: Universal Models for the Mobile Ecosystem", ECCV 2024, arXiv:2404.10518, appendix. Layers are
named as in timm, so that timm's weight files (Apache-2.0) fit with `--weights FILE.safetensors`.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgeseg.models.blocks import features_of


class Normalised(nn.Module):
    """Convolution, batch normalisation and, where asked for, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, depthwise: bool, relu: bool) -> None:
        super().__init__()
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        return self.act(self.bn(self.conv(features)))  # type: ignore[no-any-return]


class PlainConvolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn1, self.act = nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        return self.act(self.bn1(self.conv(features)))  # type: ignore[no-any-return]


class UniversalBottleneck(nn.Module):
    """MobileNetV4's block: an inverted bottleneck with depthwise convolutions before and within it, each optional.

    A kernel of 0 leaves the convolution away.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, start: int, middle: int, stride: int = 1) -> None:
        super().__init__()
        first = stride if not middle else 1
        self.dw_start = Normalised(inputs, inputs, start, first, depthwise=True, relu=False) if start else nn.Identity()
        self.pw_exp = Normalised(inputs, hidden, 1, 1, depthwise=False, relu=True)
        self.dw_mid = Normalised(hidden, hidden, middle, stride, depthwise=True, relu=True) if middle else nn.Identity()
        self.pw_proj = Normalised(hidden, outputs, 1, 1, depthwise=False, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, ⌈h/stride⌉, ⌈w/stride⌉)."""
        outputs: Tensor = self.pw_proj(self.dw_mid(self.pw_exp(self.dw_start(features))))
        return features + outputs if self.residual else outputs


class MobileNetV4Small(nn.Module):
    """The trunk: features at strides 2, 4, 8, 16 and 32, without the 1×1 to 960 channels that only classifies."""

    channels = (32, 32, 64, 96, 128)

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(32), nn.ReLU(inplace=True)
        bottleneck = UniversalBottleneck
        self.blocks = nn.Sequential(
            nn.Sequential(PlainConvolution(32, 32, 3, 2), PlainConvolution(32, 32, 1)),
            nn.Sequential(PlainConvolution(32, 96, 3, 2), PlainConvolution(96, 64, 1)),
            nn.Sequential(
                bottleneck(64, 96, 192, 5, 5, stride=2),
                *(bottleneck(96, 96, 192, 0, 3) for _ in range(4)),
                bottleneck(96, 96, 384, 3, 0),
            ),
            nn.Sequential(
                bottleneck(96, 128, 576, 3, 3, stride=2),
                bottleneck(128, 128, 512, 5, 5),
                bottleneck(128, 128, 512, 0, 5),
                bottleneck(128, 128, 384, 0, 5),
                bottleneck(128, 128, 512, 0, 3),
                bottleneck(128, 128, 512, 0, 3),
            ),
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return features at strides 2, 4, 8, 16 and 32."""
        stem = self.act1(self.bn1(self.conv_stem(image)))
        return [stem, *features_of(self.blocks, stem, (0, 1, 2, 3))]
