"""What a model says about one frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Mask


@dataclass(frozen=True)
class StageTimes:
    """Seconds one frame spent in each stage of the model's path."""

    preprocess: float
    infer: float
    decode: float


@dataclass(frozen=True)
class SemanticResult:
    """A class for every pixel of the frame."""

    mask: Mask
    """uint8, the frame's height and width; value `i` is `contract.labels[i]`."""
    contract: Contract
    times: StageTimes

    def area(self) -> dict[str, float]:
        """Return the share of the frame (0..1) that each class covers, by class name."""
        # OpenCV counts in a sixth of numpy's time and lets other threads run meanwhile
        counts = cv2.calcHist([self.mask], [0], None, [256], [0, 256]).ravel()
        return {name: float(count) / self.mask.size for name, count in zip(self.contract.names, counts, strict=False)}
