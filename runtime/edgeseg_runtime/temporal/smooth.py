"""Keep masks from flickering: blend a frame's scores with those before, and let no class change for a trifle."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.decode import Scores
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import content_size
from edgeseg_runtime.temporal.thumbnail import Thumbnail
from edgeseg_runtime.temporal.track import Track


class ScoreSmoother:
    """Works on a model's scores, between `Lane.infer` and `Lane.decode`, at the scores' own low resolution.

    The past fades by half in `half_life_s`, so that the result does not depend on the frame rate. On top, the class
    shown last gets a start of `margin`: in the unit of the scores, for a net trained with cross-entropy that is the
    logarithm of how many times likelier another class must be (1: 2.7 times). Both follow the motion of the picture
    unless `motion` is False, which suits a camera that stands still and saves the search for it.
    For one thread at a time.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        half_life_s: float = 0.1,
        margin: float = 1.0,
        motion: bool = True,
        max_gap_s: float = 0.5,
    ) -> None:
        """`max_gap_s`: seconds between two frames above which the past is forgotten.

        Raises ConfigError for a contract whose model gives masks, for times that are not above 0, and for a margin
        below 0.
        """
        if contract.output != "scores":
            raise ConfigError("a model that gives masks has no scores to smooth; smooth its labels")
        if not half_life_s > 0:
            raise ConfigError(f"half_life_s must be above 0 seconds, got {half_life_s}")
        if not margin >= 0:
            raise ConfigError(f"margin must be at least 0, got {margin}")
        self._contract, self._half_life, self._margin = contract, half_life_s, margin
        self._track = Track(motion, max_gap_s)
        self._past: Scores | None = None
        self._shown = np.empty((0, 0), np.uint8)

    def smooth(self, scores: Scores, picture: Thumbnail, captured_at: float) -> Scores:
        """Return scores to decode in place of `scores`, float32 (classes, h, w), which is left as it is.

        `picture` and `captured_at` are those of the frame they were made from. To be called once per inferred frame.
        NaN or infinite scores are given back as they are, for the decoder to refuse, and the past is forgotten.
        Raises FrameError for pictures too small to find motion in.
        """
        if not np.isfinite(scores).all():
            self.reset()
            return scores
        seconds = self._track.follow(picture, captured_at)
        if seconds is None or self._past is None or self._past.shape != scores.shape:
            self._past, self._shown = scores.copy(), scores.argmax(0).astype(np.uint8)
            return scores
        self._move(picture)
        keep = 0.5 ** (seconds / self._half_life)
        flat = self._past.reshape(-1, scores.shape[2])
        cv2.addWeighted(flat, keep, scores.reshape(flat.shape), 1 - keep, 0, dst=flat)
        smoothed = self._past.copy()
        place = self._shown[None].astype(np.intp)
        np.put_along_axis(smoothed, place, np.take_along_axis(smoothed, place, 0) + np.float32(self._margin), 0)
        self._shown = smoothed.argmax(0).astype(np.uint8)
        return smoothed

    def reset(self) -> None:
        """Forget the past, as after a cut or when another model serves."""
        self._track.reset()
        self._past = None

    def _move(self, picture: Thumbnail) -> None:
        """Move what is known of the past to where it is now; a letterbox's padding stays."""
        assert self._past is not None
        contract, (height, width) = self._contract, self._past.shape[1:]
        rows, columns = content_size(picture.shape[0], picture.shape[1], contract)
        rows, columns = round(height * rows / contract.height), round(width * columns / contract.width)
        content = np.s_[: max(1, rows), : max(1, columns)]
        for plane in self._past:
            plane[content] = self._track.carry(plane[content], cv2.INTER_LINEAR)
        self._shown[content] = self._track.carry(self._shown[content], cv2.INTER_NEAREST)
