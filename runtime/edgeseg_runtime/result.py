"""What a model says about one frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import cv2

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import overlay
from edgeseg_runtime.preprocess import Image, Mask


@dataclass(frozen=True)
class StageTimes:
    """Seconds one frame spent in each stage of the model's path."""

    preprocess: float
    infer: float
    decode: float


UNTIMED = StageTimes(0.0, 0.0, 0.0)


class Result(Protocol):
    """What every model says: `SemanticResult`, and `InstanceResult`, which says more."""

    @property
    def mask(self) -> Mask:
        """uint8, the frame's height and width; value `i` is `contract.labels[i]`, others are no class."""
        ...

    @property
    def contract(self) -> Contract:
        """Of the model that said it."""
        ...

    @property
    def times(self) -> StageTimes:
        """What it took."""
        ...

    def timed(self, times: StageTimes) -> Result:
        """Return the same with other times."""
        ...

    def drawn_on(self, frame: Image, table: Image, opacity: float) -> Image:
        """Return a new picture of the frame it was made from with the coloured result over it.

        `table` is of `draw.color_table`; `opacity`, 0..1, is that of the colours.
        """
        ...

    def area(self) -> dict[str, float]:
        """Return the share of the frame (0..1) that each class covers, by class name."""
        ...


@dataclass(frozen=True)
class SemanticResult:
    """A class for every pixel of the frame."""

    mask: Mask
    """uint8, the frame's height and width; value `i` is `contract.labels[i]`."""
    contract: Contract
    times: StageTimes

    def timed(self, times: StageTimes) -> SemanticResult:
        """Return the same with other times."""
        return replace(self, times=times)

    def drawn_on(self, frame: Image, table: Image, opacity: float) -> Image:
        """Return the frame with the coloured mask blended in."""
        return overlay(frame, self.mask, table, opacity)

    def area(self) -> dict[str, float]:
        """Return the share of the frame (0..1) that each class covers, by class name."""
        return class_shares(self.mask, self.contract)


def class_shares(mask: Mask, contract: Contract) -> dict[str, float]:
    """Return the share of a mask's pixels (0..1) that are of each class, by class name."""
    # OpenCV counts in a sixth of numpy's time and lets other threads run meanwhile
    counts = cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel()
    return {name: float(count) / mask.size for name, count in zip(contract.names, counts, strict=False)}
