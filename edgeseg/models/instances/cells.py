"""The grid of candidates of a one-stage network: where each is, and how coarse the features are that it reads.

A candidate is a cell of one of the feature maps, as in FCOS (Tian et al., ICCV 2019, arXiv:1904.01355). Candidates are
in the order of the strides, and within one in reading order.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

STRIDES = (8, 16, 32)
"""Pixels of the input between neighbouring cells, the finest grid first."""


class Cells(NamedTuple):
    """The K candidates of a picture."""

    centres: Tensor
    """float32 (K, 2): x and y in pixels of the input."""
    strides: Tensor
    """float32 (K,): pixels of the input to the next cell of the same grid."""


def grid_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the rows and columns of the grid of each stride for (height, width) inputs, rounded up."""
    return [(-(-size[0] // stride), -(-size[1] // stride)) for stride in STRIDES]


def make_cells(size: tuple[int, int], device: torch.device | None = None) -> Cells:
    """Return the candidates for (height, width) inputs."""
    centres, strides = [], []
    for stride, (rows, columns) in zip(STRIDES, grid_sizes(size), strict=True):
        y = (torch.arange(rows, dtype=torch.float32, device=device).unsqueeze(1) + 0.5) * stride
        x = (torch.arange(columns, dtype=torch.float32, device=device) + 0.5) * stride
        # sums, not `expand` or `repeat`: ONNX Runtime refuses what those become where the size is left open
        grid = torch.stack([x + torch.zeros_like(y), y + torch.zeros_like(x)], dim=-1).flatten(0, 1)
        centres.append(grid)
        strides.append(torch.zeros_like(grid[:, 0]) + stride)
    return Cells(torch.cat(centres), torch.cat(strides))
