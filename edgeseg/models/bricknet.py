"""BrickNet: a network of our own for int8 on CPUs, built of one kind of brick, the dense 3×3 convolution with ReLU.

On processors with int8 dot products (VNNI) a dense 3×3 convolution does over twice as many multiply-accumulates a
second as what mobile networks are made of, at every width and resolution that occurs here: on one core (AMD EPYC,
Zen 5) about 470 thousand million in OpenVINO and 430 in ONNX Runtime, where Fast-SCNN as a whole does 180 and 140. So
what depthwise convolutions save is not saved there: in the time of Fast-SCNN this does nearly twice its work with
nearly twice its parameters. What engines do slowly or not in int8 is left out: depthwise convolutions,
squeeze-and-excite, pooling to bins, curves other than ReLU. Context comes from going down to 1/64, where a brick costs
next to nothing; the way back is projections, resized and added. Tensors are rectified before they are added, so that no
step of a grid lies below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from edgeseg.models.auxiliary import Auxiliary
from edgeseg.models.blocks import ConvBnRelu, resize_like


@dataclass(frozen=True)
class BrickShape:
    """How large each part is."""

    widths: tuple[int, int, int, int]
    """Channels at strides 8, 16, 32 and 64."""
    bricks: tuple[int, int, int, int]
    """Bricks at each of these strides; the first of them is the one that goes down."""
    decoder: int
    """Channels on the way back."""
    stem: tuple[int, int] = (16, 32)
    """Channels at strides 2 and 4."""
    fine: int = 32
    """Channels that the scores are made of."""


TINY = BrickShape(widths=(48, 96, 128, 128), bricks=(2, 2, 2, 1), decoder=48)
SMALL = BrickShape(widths=(64, 128, 192, 192), bricks=(3, 3, 3, 2), decoder=64)
MEDIUM = BrickShape(widths=(96, 192, 256, 256), bricks=(4, 4, 4, 2), decoder=96)


class Climb(nn.Module):
    """One step up: coarse features, resized, added to a projection of finer ones, and a brick over the sum."""

    def __init__(self, fine: int, channels: int) -> None:
        super().__init__()
        self.project, self.brick = ConvBnRelu(fine, channels, 1), ConvBnRelu(channels, channels)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Map (N, fine, h, w) and coarser (N, channels, …) to (N, channels, h, w)."""
        return self.brick(self.project(fine) + resize_like(coarse, fine))  # type: ignore[no-any-return]


class BrickTrunk(nn.Module):
    """The way down to 1/32 of the input."""

    def __init__(self, shape: BrickShape) -> None:
        super().__init__()
        first, second = shape.stem
        self.stem = nn.Sequential(ConvBnRelu(3, first, 3, 2), ConvBnRelu(first, second, 3, 2))
        inputs = (second, *shape.widths)
        self.stage8, self.stage16, self.stage32 = (stage(shape, index) for index in range(3))
        self.channels = (first, *inputs[:4])

    def features(self, image: Tensor) -> list[Tensor]:
        """Map a normalised (N, 3, H, W) image to features with `channels` at 1/2 to 1/32 of its size."""
        features = [self.stem[0](image)]
        for part in (self.stem[1], self.stage8, self.stage16, self.stage32):
            features.append(part(features[-1]))
        return features


class BrickEncoder(BrickTrunk):
    """The way down by itself: see `edgeseg.models.encoders`."""

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features, the finest first."""
        return self.features(image)


class BrickNet(BrickTrunk):
    """Scores at 1/4 of the input."""

    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (
        Auxiliary("stage8", hidden=32, kind="boundary"),
        Auxiliary("stage32", hidden=64),
    )
    branched: ClassVar[bool] = True
    """Whether its bricks learn with branches: see `edgeseg.models.branches`."""

    def __init__(self, classes: int, shape: BrickShape) -> None:
        super().__init__(shape)
        self.stage64 = stage(shape, 3)
        self.deepest = ConvBnRelu(shape.widths[3], shape.decoder, 1)
        self.project32 = ConvBnRelu(shape.widths[2], shape.decoder, 1)
        self.climb16, self.climb8 = Climb(shape.widths[1], shape.decoder), Climb(shape.widths[0], shape.decoder)
        self.narrow, self.climb4 = ConvBnRelu(shape.decoder, shape.fine, 1), Climb(shape.stem[1], shape.fine)
        self.classifier = nn.Conv2d(shape.fine, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/4⌉, ⌈W/4⌉) scores."""
        _, quarter, eighth, sixteenth, deep = self.features(image)
        features = self.project32(deep)
        features = features + resize_like(self.deepest(self.stage64(deep)), features)
        features = self.climb8(eighth, self.climb16(sixteenth, features))
        return self.classifier(self.climb4(quarter, self.narrow(features)))  # type: ignore[no-any-return]


def stage(shape: BrickShape, index: int) -> nn.Sequential:
    """Return the bricks at stride 8 · 2^index."""
    inputs, outputs = (shape.stem[1], *shape.widths)[index : index + 2]
    rest = (ConvBnRelu(outputs, outputs) for _ in range(shape.bricks[index] - 1))
    return nn.Sequential(ConvBnRelu(inputs, outputs, 3, 2), *rest)
