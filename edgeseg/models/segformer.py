"""SegFormer-B0.

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", NeurIPS 2021,
arXiv:2105.15203, table 6. Its attention and layer normalisation are no operations that int8 engines are made for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeseg.models.attention import Attention
from edgeseg.models.blocks import ConvBnRelu, resize_like

CHANNELS, HEADS, REDUCTIONS, DEPTH = (32, 64, 160, 256), (1, 2, 5, 8), (8, 4, 2, 1), 2
"""By stage: widths, attention heads, and how much coarser keys and values are than queries; blocks of each."""
EXPANSION, DECODER = 4, 256


class EfficientAttention(nn.Module):
    """Every pixel attends to all of a picture that is `reduction` times coarser."""

    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        shrink = (nn.Conv2d(channels, channels, reduction, reduction), nn.LayerNorm(channels))
        self.shrink = nn.Sequential(*shrink) if reduction > 1 else nn.Identity()
        self.attend = Attention(channels, heads)

    def forward(self, pixels: Tensor, height: int, width: int) -> Tensor:
        """Map (N, height · width, channels) to the same shape, the input added."""
        queries = keys = self.norm(pixels)
        if isinstance(self.shrink, nn.Sequential):
            convolve, normalise = self.shrink
            keys = normalise(tokens(convolve(grid(queries, height, width))))
        return pixels + self.attend(queries, keys)  # type: ignore[no-any-return]


class MixFeedForward(nn.Module):
    """Expansion, 3×3 depthwise convolution, which tells where a pixel is, GELU, projection back; input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.body = nn.Sequential(
            nn.LayerNorm(channels, eps=1e-6),
            nn.Conv2d(channels, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, pixels: Tensor, height: int, width: int) -> Tensor:
        """Map (N, height · width, channels) to the same shape, the input added."""
        normalise, *convolve = self.body
        features = grid(normalise(pixels), height, width)
        for layer in convolve:
            features = layer(features)
        return pixels + tokens(features)


class Stage(nn.Sequential):
    """A convolution that makes the features coarser, blocks of attention and feed-forward layers, a normalisation.

    In between, features are (N, h · w, C), as normalisation and attention take them: where they change to the
    (N, C, h, w) of convolutions with every layer, engines spend a third of their time on turning them.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, heads: int, reduction: int) -> None:
        kernel = 2 * stride - 1
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.LayerNorm(outputs)]
        for _ in range(DEPTH):
            layers += [EfficientAttention(outputs, heads, reduction), MixFeedForward(outputs)]
        super().__init__(*layers, nn.LayerNorm(outputs, eps=1e-6))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ⌈H / stride⌉, ⌈W / stride⌉)."""
        embed, normalise, *blocks, normalise_last = self
        features = embed(features)
        height, width = features.shape[2:]
        pixels = normalise(tokens(features))
        for block in blocks:
            pixels = block(pixels, height, width)
        return grid(normalise_last(pixels), height, width)


class SegFormerB0(nn.Module):
    """Scores at 1/4 of the input from four stages of attention and a decoder of 1×1 convolutions."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        shapes = zip((3, *CHANNELS), CHANNELS, (4, 2, 2, 2), HEADS, REDUCTIONS, strict=False)
        self.stages = nn.ModuleList(Stage(*shape) for shape in shapes)
        self.project = nn.ModuleList(nn.Conv2d(channels, DECODER, 1) for channels in CHANNELS)
        self.fuse = ConvBnRelu(len(CHANNELS) * DECODER, DECODER, 1)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Conv2d(DECODER, classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map a normalised (N, 3, H, W) image to (N, classes, ⌈H/4⌉, ⌈W/4⌉) scores."""
        features, found = image, []
        for stage, project in zip(self.stages, self.project, strict=True):
            features = stage(features)
            found.append(project(features))
        finest, *coarser = found
        joined = torch.cat([*(resize_like(item, finest) for item in reversed(coarser)), finest], dim=1)
        return self.head(self.fuse(joined))  # type: ignore[no-any-return]


def tokens(features: Tensor) -> Tensor:
    """Map (N, C, h, w) features to (N, h · w, C)."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def grid(pixels: Tensor, height: int, width: int) -> Tensor:
    """Map (N, height · width, C) to (N, C, height, width) features."""
    return pixels.reshape(pixels.shape[0], height, width, -1).permute(0, 3, 1, 2)
