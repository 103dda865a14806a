"""The loop of most tutorials, as a yardstick: one frame after the other, numpy around ONNX Runtime in float32.

It does the same work as the deployed path and gives the same masks (a test holds it to that), the usual way:

1. `cv2.VideoCapture.read`, `cv2.resize`, channels swapped by slicing;
2. numpy: to float32, ÷ 255, − mean, ÷ std, transposed to (1, 3, height, width);
3. `InferenceSession.run` with the default session options (every core, spinning threads);
4. numpy: bilinear interpolation of all class planes to the input's size (two matrix products, the fastest plain numpy
   has for it), arg-max over the classes, nearest-neighbour resize to the frame.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, SourceError
from edgeseg_runtime.preprocess import Image, Mask

Floats = npt.NDArray[np.float32]


class NaiveLoop:
    """Segments with a float32 ONNX file that takes normalised (1, 3, height, width) and gives low-resolution scores.

    Raises ConfigError for a contract it has no way for: it stretches, interpolates bilinearly and decodes scores.
    """

    def __init__(self, file: Path, contract: Contract) -> None:
        if (contract.resize, contract.interpolation, contract.output) != ("stretch", "bilinear", "scores"):
            raise ConfigError("the naive loop only knows contracts with stretch, bilinear and scores")
        self.contract = contract
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._mean, self._std = np.array(contract.mean, np.float32), np.array(contract.std, np.float32)
        _, _, rows, columns = self._session.get_outputs()[0].shape
        self._down = interpolation_matrix(rows, contract.height)
        self._across = np.ascontiguousarray(interpolation_matrix(columns, contract.width).T)

    def __call__(self, frame: Image) -> Mask:
        """Return the mask of a uint8 H×W×3 BGR frame."""
        image = cv2.resize(frame, (self.contract.width, self.contract.height))
        if self.contract.color_order == "rgb":
            image = image[:, :, ::-1]
        scaled = (image.astype(np.float32) / 255 - self._mean) / self._std
        batch = np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])
        scores: Floats = self._session.run(None, {self._input: batch})[0][0]
        full = self._down @ scores @ self._across
        mask = full.argmax(axis=0).astype(np.uint8)
        size = (frame.shape[1], frame.shape[0])
        return cast(Mask, cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT))

    def run(self, clip: Path, limit: int) -> tuple[int, float]:
        """Segment the first `limit` frames, one after the other; return their number and the seconds it took."""
        capture = cv2.VideoCapture(str(clip))
        frames = 0
        started = perf_counter()
        while frames < limit:
            found, frame = capture.read()
            if not found:
                break
            self(cast(Image, frame))
            frames += 1
        seconds = perf_counter() - started
        capture.release()
        if not frames:
            raise SourceError(f"{clip} gives no frame")
        return frames, seconds


def interpolation_matrix(small: int, large: int) -> Floats:
    """Return the (large, small) matrix of bilinear interpolation with half-pixel centres along one axis."""
    place = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, small - 1)
    share = (place - below).astype(np.float32)
    matrix = np.zeros((large, small), np.float32)
    np.add.at(matrix, (np.arange(large), below), 1 - share)
    np.add.at(matrix, (np.arange(large), above), share)
    return matrix
