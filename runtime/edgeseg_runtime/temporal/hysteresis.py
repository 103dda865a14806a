"""Keep masks from flickering where a model gives no scores: let no pixel change its class on a single frame's word."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.temporal.thumbnail import Thumbnail
from edgeseg_runtime.temporal.track import Track


class LabelSmoother:
    """A pixel takes a new class once `frames` masks in a row say so; until then it keeps the one it shows.

    Pixels are followed along the motion of the picture unless `motion` is False, which suits only a camera that stands
    still: elsewhere masks would lag behind by `frames`. For one thread at a time.
    """

    def __init__(self, *, frames: int = 3, motion: bool = True, max_gap_s: float = 0.5) -> None:
        """`max_gap_s`: seconds between two frames above which the past is forgotten.

        Raises ConfigError unless `frames` is 1 to 255 and `max_gap_s` above 0.
        """
        if not 1 <= frames <= 255:
            raise ConfigError(f"frames must be 1 to 255, got {frames}")
        self._frames = frames
        self._track = Track(motion, max_gap_s)
        self._past: npt.NDArray[np.uint8] | None = None

    def smooth(self, mask: Mask, picture: Thumbnail, captured_at: float) -> Mask:
        """Return the mask to show in place of `mask`, uint8 H×W, which is left as it is.

        `picture` and `captured_at` are those of the frame it was made from. To be called once per inferred frame.
        Raises FrameError for pictures too small to find motion in.
        """
        seconds = self._track.follow(picture, captured_at)
        if seconds is None or self._past is None or self._past.shape[:2] != mask.shape:
            self._past = np.dstack([mask, mask, np.zeros_like(mask)])
            return mask.copy()
        # one move of three channels is cheaper than three moves
        shown, wanted, times = (np.asarray(plane, np.uint8) for plane in cv2.split(self._carried()))
        again = cv2.compare(mask, wanted, cv2.CMP_EQ)
        times = cv2.add(cv2.bitwise_and(times, again), 1)  # type: ignore[call-overload]  # saturates at 255
        cv2.copyTo(np.zeros_like(mask), cv2.compare(mask, shown, cv2.CMP_EQ), times)
        cv2.copyTo(mask, cv2.compare(times, self._frames, cv2.CMP_GE), shown)  # type: ignore[call-overload]
        self._past = np.dstack([shown, mask, times])
        return shown

    def reset(self) -> None:
        """Forget the past, as after a cut or when another model serves."""
        self._track.reset()
        self._past = None

    def _carried(self) -> npt.NDArray[np.uint8]:
        assert self._past is not None
        return self._track.carry(self._past, cv2.INTER_NEAREST)
