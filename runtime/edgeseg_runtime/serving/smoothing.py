"""Scores smoothed over time, in the process that runs the model: there they need not be sent anywhere."""

from __future__ import annotations

import cv2

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.decode import Scores
from edgeseg_runtime.preprocess import Image, content_size
from edgeseg_runtime.temporal.cut import CutDetector
from edgeseg_runtime.temporal.flow import LEAST_SIDE
from edgeseg_runtime.temporal.smooth import ScoreSmoother
from edgeseg_runtime.temporal.thumbnail import Thumbnail, thumbnail


class Smoothing:
    """Smooths each camera's scores by its own past, which ends with a cut, after a gap, and where sizes change.

    Lives and ends with the model's process, so no score of another model is ever mixed in.
    """

    def __init__(self) -> None:
        self._pasts: dict[str, _Past] = {}

    def smooth(
        self, scores: Scores, image: Image, contract: Contract, camera: str, frame: tuple[int, int], captured_at: float
    ) -> Scores:
        """Return scores to decode in place of `scores`, float32 (classes, h, w).

        `image` is the model's input that they were made from, and `frame` the (height, width) of the camera's picture;
        `captured_at` is on the monotonic clock. To be called once for each frame of a camera, in order.
        """
        rows, columns = content_size(*frame, contract)
        look = _look(image[:rows, :columns], contract)
        past = self._pasts.get(camera)
        if past is None or past.sizes != (contract.size, look.shape):
            past = self._pasts[camera] = _Past(contract, look)
        return past.smooth(scores, look, captured_at)


class _Past:
    """Of one camera at one size."""

    def __init__(self, contract: Contract, look: Thumbnail) -> None:
        self.sizes = contract.size, look.shape
        # In a strip too low to find motion in, the past stays where it is.
        self._smoother = ScoreSmoother(contract, motion=min(look.shape[:2]) >= LEAST_SIDE)
        self._cuts = CutDetector()

    def smooth(self, scores: Scores, look: Thumbnail, captured_at: float) -> Scores:
        if self._cuts.cut(look):
            self._smoother.reset()
        return self._smoother.smooth(scores, look, captured_at)


def _look(content: Image, contract: Contract) -> Thumbnail:
    look = thumbnail(content)
    if contract.color_order == "bgr":
        return look
    return cv2.cvtColor(look, cv2.COLOR_RGB2BGR)  # type: ignore[return-value]
