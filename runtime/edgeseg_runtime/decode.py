"""From low-resolution class scores to a mask of class indices: the only implementation there is.

The mask is the arg-max of the scores after bilinear interpolation with half-pixel centres, which is what
`torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` and ONNX `Resize` (`half_pixel`, `linear`)
compute. Ties go to the lower class index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contenders import contenders, everywhere
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ScoresError
from edgeseg_runtime.preprocess import Mask, to_frame_mask
from edgeseg_runtime.result import UNTIMED, SemanticResult, StageTimes

Scores = npt.NDArray[np.float32]

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

    Not safe to share between threads. One OpenCV resize per class, of the part where it can win, with a running
    maximum, in place of interpolating all classes and then searching: the same mask in a fraction of the time.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._enlarged = np.empty(height * width, np.float32)
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
        classes, height, width = scores.shape
        upsampling = min(self.height // height, self.width // width)
        found = contenders(scores) if upsampling >= _MIN_UPSAMPLING else everywhere(classes, height, width)
        first, *others = found
        mask = np.full((self.height, self.width), first.class_index, np.uint8)
        if others:
            cv2.resize(
                scores[first.class_index], (self.width, self.height), dst=self._best, interpolation=cv2.INTER_LINEAR
            )
        for index, top, bottom, left, right in others:
            rows, columns = Span.of(top, bottom, height, self.height), Span.of(left, right, width, self.width)
            size = columns.enlarged, rows.enlarged
            enlarged = self._enlarged[: size[0] * size[1]].reshape(size[::-1])
            cv2.resize(scores[index, rows.cells, columns.cells], size, dst=enlarged, interpolation=cv2.INTER_LINEAR)
            current, place = enlarged[rows.inner, columns.inner], (rows.pixels, columns.pixels)
            best = self._best[place]
            wins = cv2.compare(current, best, cv2.CMP_GT)
            if index < others[-1].class_index:
                cv2.max(current, best, dst=best)
            self._index[place] = index
            cv2.copyTo(self._index[place], wins, mask[place])
        return mask


class Span(NamedTuple):
    """Part of an axis of scores that is enlarged by itself, and the part of the picture it gives."""

    cells: slice
    enlarged: int
    """Pixels these cells become."""
    inner: slice
    """Those of them that no other cell would have a share in."""
    pixels: slice
    """Where they lie in the picture."""

    @classmethod
    def of(cls, first: int, last: int, cells: int, pixels: int) -> Span:
        """Return the span between the centres of two cells, or to the picture's edge from its first or last cell.

        Where a cell does not become a power of two of pixels, the whole axis: enlarged by themselves, cells would get
        weights that are rounded otherwise.
        """
        factor, rest = divmod(pixels, cells)
        if rest or factor & (factor - 1) or factor == 1:
            return cls(slice(0, cells), pixels, slice(0, pixels), slice(0, pixels))
        start = factor * first + factor // 2 if first else 0
        stop = factor * last + factor // 2 if last < cells - 1 else pixels
        inner = slice(start - factor * first, stop - factor * first)
        return cls(slice(first, last + 1), factor * (last + 1 - first), inner, slice(start, stop))
