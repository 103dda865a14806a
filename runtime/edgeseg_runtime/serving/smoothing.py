"""What a model says smoothed over time, in the process that runs it: there it need not be sent anywhere."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image, content_size
from edgeseg_runtime.temporal.cut import CutDetector
from edgeseg_runtime.temporal.flow import LEAST_SIDE
from edgeseg_runtime.temporal.hysteresis import LabelSmoother
from edgeseg_runtime.temporal.smooth import ScoreSmoother
from edgeseg_runtime.temporal.thumbnail import Thumbnail, thumbnail

Said = npt.NDArray[Any]
"""A model's output without the batch axis: float32 (classes, h, w) scores, or a uint8 mask of its input's size."""


class Smoothing:
    """Smooths each camera's scores or masks by its own past, which ends with a cut, after a gap, or where sizes change.

    Lives and ends with the model's process, so nothing that another model said is ever mixed in.
    """

    def __init__(self) -> None:
        self._pasts: dict[str, _Past] = {}

    def smooth(
        self, said: Said, image: Image, contract: Contract, camera: str, frame: tuple[int, int], captured_at: float
    ) -> Said:
        """Return what to decode in place of `said`, which is left as it is.

        `image` is the model's input that it was made from, and `frame` the (height, width) of the camera's picture;
        `captured_at` is on the monotonic clock. To be called once for each frame of a camera, in order.
        """
        rows, columns = content_size(*frame, contract)
        look = _look(image[:rows, :columns], contract)
        past = self._pasts.get(camera)
        if past is None or past.sizes != (contract.size, look.shape):
            past = self._pasts[camera] = _Past(contract, look)
        if contract.output == "scores":
            return past.smooth(said, look, captured_at)
        mask = said.copy()  # a letterbox's padding is no part of the picture, and stays
        mask[:rows, :columns] = past.smooth(np.ascontiguousarray(said[:rows, :columns]), look, captured_at)
        return mask


class _Past:
    """Of one camera at one size."""

    def __init__(self, contract: Contract, look: Thumbnail) -> None:
        self.sizes = contract.size, look.shape
        # In a strip too low to find motion in, the past stays where it is.
        motion = min(look.shape[:2]) >= LEAST_SIDE
        self._smoother: ScoreSmoother | LabelSmoother = (
            ScoreSmoother(contract, motion=motion) if contract.output == "scores" else LabelSmoother(motion=motion)
        )
        self._cuts = CutDetector()

    def smooth(self, said: Said, look: Thumbnail, captured_at: float) -> Said:
        if self._cuts.cut(look):
            self._smoother.reset()
        return self._smoother.smooth(said, look, captured_at)


def _look(content: Image, contract: Contract) -> Thumbnail:
    look = thumbnail(content)
    if contract.color_order == "bgr":
        return look
    return cv2.cvtColor(look, cv2.COLOR_RGB2BGR)  # type: ignore[return-value]
