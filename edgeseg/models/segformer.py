"""SegFormer-B0.

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", NeurIPS 2021,
arXiv:2105.15203, table 6. Its attention and layer normalisation are no operations that int8 engines are made for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu, resize_like

CHANNELS, HEADS, REDUCTIONS, DEPTH = (32, 64, 160, 256), (1, 2, 5, 8), (8, 4, 2, 1), 2
"""By stage: widths, attention heads, and how much coarser keys and values are than queries; blocks of each."""
EXPANSION, DECODER = 4, 256


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, h, w) features."""

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class EfficientAttention(nn.Module):
    """Every pixel attends to all of a picture that is `reduction` times coarser."""

    def __init__(self, channels: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels, eps=1e-6)
        shrink = (nn.Conv2d(channels, channels, reduction, reduction), ChannelNorm(channels))
        self.shrink = nn.Sequential(*shrink) if reduction > 1 else nn.Identity()
        self.attend = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, h, w) to the same shape, the input added."""
        queries = self.norm(features)
        keys = tokens(self.shrink(queries))
        mixed, _ = self.attend(tokens(queries), keys, keys, need_weights=False)
        return features + mixed.transpose(1, 2).reshape(features.shape)  # type: ignore[no-any-return]


class MixFeedForward(nn.Module):
    """Expansion, 3×3 depthwise convolution, which tells where a pixel is, GELU, projection back; input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        self.body = nn.Sequential(
            ChannelNorm(channels, eps=1e-6),
            nn.Conv2d(channels, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, h, w) to the same shape."""
        return features + self.body(features)  # type: ignore[no-any-return]


class SegFormerB0(nn.Module):
    """Scores at 1/4 of the input from four stages of attention and a decoder of 1×1 convolutions."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_stage(index) for index in range(len(CHANNELS)))
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
    return features.flatten(2).transpose(1, 2)


def _stage(index: int) -> nn.Sequential:
    inputs, outputs = (3, *CHANNELS)[index], CHANNELS[index]
    kernel, stride = (7, 4) if index == 0 else (3, 2)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2),
        ChannelNorm(outputs),
    ]
    for _ in range(DEPTH):
        layers += [EfficientAttention(outputs, HEADS[index], REDUCTIONS[index]), MixFeedForward(outputs)]
    return nn.Sequential(*layers, ChannelNorm(outputs, eps=1e-6))
