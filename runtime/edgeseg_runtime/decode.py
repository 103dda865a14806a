"""From low-resolution class scores to a mask of class indices: the only implementation there is.

The mask is the arg-max of the scores after bilinear interpolation with half-pixel centres, which is what
`torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` and ONNX `Resize` (`half_pixel`, `linear`)
compute. Ties go to the lower class index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ScoresError
from edgeseg_runtime.preprocess import Mask, to_frame_mask
from edgeseg_runtime.result import UNTIMED, SemanticResult, StageTimes

Scores = npt.NDArray[np.float32]

_ROUNDING = 1e-5
"""Relative slack for what interpolation in float32 can add to the largest of four corners."""

_MIN_UPSAMPLING = 3
"""Below this factor, looking for classes that cannot win costs as much as interpolating them."""


class SemanticDecoder:
    """Turns the scores or the mask of one picture into a SemanticResult. Not safe to share between threads."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._decode = ScoreDecoder(contract.height, contract.width)

    def __call__(
        self, outputs: Sequence[npt.NDArray[Any]], height: int, width: int, times: StageTimes = UNTIMED
    ) -> SemanticResult:
        """Return the classes of a `height`×`width` frame; `outputs` is not kept. Raises ScoresError, see ScoreDecoder.

        The only output is float32 (classes, h, w) scores or a uint8 mask of the input's size, as the contract says.
        """
        values = outputs[0]
        mask: Mask = self._decode(values) if self._contract.output == "scores" else values.copy()
        return SemanticResult(to_frame_mask(mask, self._contract, height, width), self._contract, times)


class ScoreDecoder:
    """Decodes (classes, h, w) float32 scores to a (height, width) uint8 mask; keeps its buffers between calls.

    Not safe to share between threads. One OpenCV resize per class with a running maximum, in place of
    interpolating all classes and then searching: the same mask in a fraction of the time.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._scores = np.empty((height, width), np.float32)
        self._best = np.empty((height, width), np.float32)
        self._index = np.empty((height, width), np.uint8)

    def __call__(self, scores: Scores) -> Mask:
        """Return a new mask. `scores` is read only. Raises ScoresError when one is NaN or infinite."""
        if scores.ndim != 3 or scores.dtype != np.float32:
            raise ValueError(f"scores must be float32 (classes, h, w), got {scores.dtype} {scores.shape}")
        if not np.isfinite(scores).all():
            # No arg-max is right there, and every implementation picks another one.
            raise ScoresError(
                "the model gives NaN or infinite scores; its weights are damaged or its training diverged"
            )
        upsampling = min(self.height // scores.shape[1], self.width // scores.shape[2])
        classes = contenders(scores) if upsampling >= _MIN_UPSAMPLING else np.arange(len(scores))
        mask = np.full((self.height, self.width), classes[0], np.uint8)
        if len(classes) == 1:
            return mask
        best = self._upsample(scores[classes[0]], self._best)
        for number, index in enumerate(classes[1:], 2):
            current = self._upsample(scores[index], self._scores)
            wins = cv2.compare(current, best, cv2.CMP_GT)
            if number < len(classes):
                cv2.max(current, best, dst=best)
            self._index[:] = index
            cv2.copyTo(self._index, wins, mask)
        return mask

    def _upsample(self, plane: npt.NDArray[np.float32], out: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if plane.shape == out.shape:
            np.copyto(out, plane)
            return out
        return cv2.resize(plane, (self.width, self.height), dst=out, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def contenders(scores: Scores) -> npt.NDArray[np.intp]:
    """Return the classes that can be the largest at some interpolated position, in increasing order.

    Between four neighbouring cells every class lies between the smallest and the largest of its corners, so a class
    whose largest corner is below another's smallest corner cannot win there. Classes that can win nowhere are left
    out: the mask is unchanged, and a street scene without bicycles never pays for the bicycle plane.
    """
    classes, height, width = scores.shape
    # All planes as one tall image. A window holds a cell and those above and left of it. In a plane's top row it
    # straddles two planes; that row is left out, since the windows of the second row hold its cells too.
    tall = scores.reshape(classes * height, width)
    window = np.ones((2, 2), np.uint8)
    inside = slice(min(1, height - 1), None)
    upper = cv2.dilate(tall, window).reshape(classes, height, width)[:, inside]
    lower = cv2.erode(tall, window).reshape(classes, height, width)[:, inside]
    floor = lower.max(axis=0)
    floor -= _ROUNDING * np.abs(floor)
    # the tolerance also has to cover corners much larger than the floor, whose rounding is in proportion to them
    floor -= _ROUNDING * float(np.abs(scores).max())
    return np.flatnonzero((upper >= floor).reshape(classes, -1).any(axis=1))
