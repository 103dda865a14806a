"""The edge network: prototype masks over a light trunk, as a static graph of convolutions.

Prototypes and coefficients: Bolya et al., "YOLACT", ICCV 2019, arXiv:1904.02689. A box is four distances from its
cell's centre in place of offsets from anchors: Tian et al., "FCOS", ICCV 2019, arXiv:1904.01355. Duplicates are left to
the runtime.

Made for int8 on processors: ReLU and ReLU6 only, dense 3×3 convolutions of 32, 48 or 64 channels, sums, and enlarging
by repetition. Every convolution runs at one resolution only. Shared between them, its batch normalisation could not be
folded into it, and its tensors would need one int8 grid for all. With BrickNet's trunk all of it is of that kind. The
mobile trunks have ImageNet weights, but OpenVINO computes their depthwise convolutions in float even in an int8 file.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu, enlarge_like
from edgeseg.models.encoders import make_encoder
from edgeseg.models.instances.cells import STRIDES, make_cells
from edgeseg.models.instances.outputs import PrototypeOutput
from edgeseg.models.instances.pyramid import Pyramid
from edgeseg.models.pretrained import Weights

PROTOTYPES = 32
PROTOTYPE_STRIDE = 4
PRIOR = 0.01
"""Score of every candidate before training, so that the many which are nothing do not drown the others (Lin et al.,
"Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002, section 4.1)."""
FIRST_DISTANCE = 2.0
"""Strides from a cell's centre to the sides of its box before training. At 0 a ReLU would pass no gradient."""


LevelMaps = tuple[Tensor, Tensor, Tensor]
"""What a head says of the cells of one grid: (N, classes, h, w) logits; (N, 4, h, w) distances in strides, left, top,
right, bottom, not rectified yet; (N, PROTOTYPES, h, w) coefficients."""


@dataclass(frozen=True)
class Widths:
    """How large the part after the trunk is."""

    pyramid: int
    """Channels of the pyramid and the heads."""
    depth: int
    """3×3 convolutions in each of a head's two branches."""
    prototypes: int = 32
    """Channels at the prototypes' resolution, the most expensive one."""


class Head(nn.Module):
    """One branch for what an object is, one for where: box and mask."""

    def __init__(self, widths: Widths, classes: int) -> None:
        super().__init__()
        width = widths.pyramid
        self.what = nn.Sequential(*(ConvBnRelu(width, width) for _ in range(widths.depth)))
        self.where = nn.Sequential(*(ConvBnRelu(width, width) for _ in range(widths.depth)))
        self.logits = nn.Conv2d(width, classes, 1)
        self.distances = nn.Conv2d(width, 4, 1)
        self.coefficients = nn.Conv2d(width, PROTOTYPES, 1)
        nn.init.constant_(self.logits.bias, -log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]
        nn.init.constant_(self.distances.bias, FIRST_DISTANCE)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> LevelMaps:
        """Map (N, width, h, w) features to what they say of each cell."""
        where = self.where(features)
        return self.logits(self.what(features)), self.distances(where), self.coefficients(where)


class Prototypes(nn.Module):
    """Masks of which those of all objects are sums, at 1/4 of the input, with the trunk's features of that stride.

    Those cost a 1×1 convolution, and bring back the edges that 1/8 has lost.
    """

    def __init__(self, widths: Widths, skip: int) -> None:
        super().__init__()
        width = widths.prototypes
        self.coarse = nn.Sequential(ConvBnRelu(widths.pyramid, widths.pyramid), ConvBnRelu(widths.pyramid, width, 1))
        self.skip = ConvBnRelu(skip, width, 1)
        self.fine = ConvBnRelu(width, width)
        self.head = nn.Conv2d(width, PROTOTYPES, 1)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map features at 1/8 and the trunk's at 1/4 to (N, PROTOTYPES, ⌈H/4⌉, ⌈W/4⌉)."""
        fine = self.skip(skip)
        return self.head(self.fine(fine + enlarge_like(self.coarse(features), fine)))  # type: ignore[no-any-return]


class Maps(nn.Module):
    """All that has weights: what can be pruned and computes in int8."""

    def __init__(self, classes: int, weights: Weights, encoder: str, widths: Widths) -> None:
        super().__init__()
        self.encoder = make_encoder(encoder, weights)
        _, skip, *channels = self.encoder.channels
        self.pyramid = Pyramid(channels, widths.pyramid)
        self.prototypes = Prototypes(widths, skip)
        self.heads = nn.ModuleList(Head(widths, classes) for _ in STRIDES)

    def forward(self, image: Tensor) -> tuple[Tensor, list[LevelMaps]]:
        """Map a normalised (N, 3, H, W) image to prototypes and what is said of the cells at each of STRIDES."""
        _, skip, *features = self.encoder(image)
        levels = self.pyramid(features)
        return self.prototypes(levels[0], skip), [head(level) for head, level in zip(self.heads, levels, strict=True)]


class Yolact(nn.Module):
    """The maps and a thin tail, always in float, that puts candidates in a row and makes boxes of distances.

    A distance is ReLU(x) strides and not exp(x): rounding x then moves a side by as many pixels whatever the box's
    size, where an exponential would turn one step of int8 into a share of it.
    """

    trunk = "maps.encoder"
    """Where weights of a classification network belong."""

    def __init__(self, classes: int, weights: Weights, encoder: str, widths: Widths) -> None:
        super().__init__()
        self.maps = Maps(classes, weights, encoder, widths)

    def forward(self, image: Tensor) -> PrototypeOutput:
        """Map a normalised (N, 3, H, W) image to its candidates and prototypes."""
        prototypes, levels = self.maps(image)
        height, width = image.shape[-2:]
        centres, strides = make_cells((height, width), image.device)
        logits, distances, coefficients = (
            torch.cat([_in_a_row(level[part]) for level in levels], 1) for part in range(3)
        )
        reach = distances.float().relu() * strides.unsqueeze(1)
        boxes = torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], dim=-1)
        return PrototypeOutput(boxes, logits, coefficients, _in_planes(prototypes))


def _in_a_row(cells: Tensor) -> Tensor:
    """Map (N, C, h, w) to (N, h · w, C): where an engine keeps channels last, nothing moves."""
    return cells.permute(0, 2, 3, 1).flatten(1, 2)


def _in_planes(prototypes: Tensor) -> Tensor:
    """Return (N, p, h, w) as it is, by a transposition of a matrix that the engine can see.

    OpenVINO keeps channels last, and left to itself brings an output back with a loop that takes several times as long.
    """
    return _in_a_row(prototypes).transpose(1, 2).reshape(prototypes.shape)
