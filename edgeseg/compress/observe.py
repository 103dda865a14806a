"""Ranges of tensors, measured on pictures."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from edgeseg_runtime.errors import CalibrationError

BINS = 2048
PERCENTILE = 99.99
"""Share of a tensor's values, in %, that its range covers; the rest is cut off in equal parts below and above."""


class RangeObserver:
    """Averages over pictures the range that holds nearly all values of a tensor, or of several that share a grid."""

    def __init__(self) -> None:
        self._batch: Tensor | None = None
        self._pictures: list[Tensor] = []

    def add(self, values: Tensor) -> None:
        """Take in the (N, …) float32 values of one tensor for the N pictures of the current batch."""
        ranges = torch.stack([_range(picture) for picture in values])
        if self._batch is not None:
            ranges = torch.stack(
                [torch.minimum(ranges[:, 0], self._batch[:, 0]), torch.maximum(ranges[:, 1], self._batch[:, 1])], 1
            )
        self._batch = ranges

    def end_batch(self) -> None:
        """Say that the next values come from other pictures."""
        if self._batch is not None:
            self._pictures.append(self._batch.cpu())
        self._batch = None

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the range, which holds zero. Raises CalibrationError when it is not finite or nothing was added."""
        if not self._pictures:
            raise CalibrationError("no pictures to measure the ranges of activations on")
        low, high = torch.cat(self._pictures).double().mean(dim=0).tolist()
        if not (isfinite(low) and isfinite(high)):
            raise CalibrationError(f"the values of {name!r} are not finite on the calibration pictures")
        return min(low, 0.0), max(high, 0.0)


def _range(values: Tensor) -> Tensor:
    """Return (2,) bounds between which PERCENTILE % of the values of one picture lie, to a histogram bin's width."""
    lowest, highest = torch.aminmax(values)
    if not bool(torch.isfinite(highest - lowest)) or bool(lowest == highest):
        return torch.stack([lowest, highest])
    low, high = float(lowest), float(highest)
    share = torch.histc(values, BINS, low, high).double().cumsum(0) / values.numel()
    outside = (100 - PERCENTILE) / 200
    first = int(torch.searchsorted(share, outside, right=True))
    last = int(torch.searchsorted(share, 1 - outside)) + 1
    step = (high - low) / BINS
    return torch.tensor([low + first * step, low + min(last, BINS) * step], device=values.device)
