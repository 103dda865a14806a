"""The unit of ShuffleNetV2, from torchvision, with its shuffle as a layer that can be found in a network.

Ma et al., "ShuffleNet V2", ECCV 2018, arXiv:1807.11164.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import InvertedResidual


class Shuffle(nn.ChannelShuffle):
    """Puts the channels of two halves in turn."""

    def __init__(self, channels: int) -> None:
        super().__init__(2)
        self.channels = channels


class ShuffleUnit(InvertedResidual):  # type: ignore[misc]  # torchvision has no types
    """torchvision's, under torchvision's names."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, stride)
        self.shuffle = Shuffle(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        kept, worked_on = x.chunk(2, dim=1) if self.stride == 1 else (x, x)
        joined: Tensor = torch.cat((self.branch1(kept), self.branch2(worked_on)), dim=1)
        return self.shuffle(joined)  # type: ignore[no-any-return]
