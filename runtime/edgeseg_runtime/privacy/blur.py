"""Make chosen classes unrecognisable, to the pixel, and everything where the mask is in doubt."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection

import cv2
import numpy as np

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Image, check_frame
from edgeseg_runtime.privacy.coarse import CELLS, coarse
from edgeseg_runtime.privacy.trust import check_classes, doubt, pixels_of
from edgeseg_runtime.sinks.base import Shot

_SPEED = 1.0
"""On three clips of a car, a horse and a scooter with true masks, this left no pixel of them uncovered by masks up to
0.3 s old; half of it left up to 12 % of a frame's, and the margin alone up to 58 %."""

_log = logging.getLogger(__name__)


class PrivacyBlur:
    """`blur(shot, now)` returns the picture with the classes blurred. It is as good as the model: what the mask misses
    is shown.

    The region is the classes' pixels, and those of no class, grown by `margin` (a share of the frame's shorter side).
    Where the mask is that of an earlier frame, it grows further by `speed` (shorter sides a second) for the time
    between the two, because people move on. It fails closed: the whole picture is blurred when there is no mask, when
    it is older than `max_age` seconds, when the model that serves does not know one of the classes, and on any error.

    Raises ConfigError for classes that `contract` does not have and values outside what is allowed. One thread at a
    time uses it.
    """

    def __init__(
        self,
        classes: Collection[str],
        contract: Contract,
        *,
        margin: float = 0.02,
        speed: float = _SPEED,
        max_age: float = 0.3,
        cells: int = CELLS,
    ) -> None:
        if not (0 <= margin <= 0.5 and 0 <= speed <= 10 and 0 <= max_age <= 10 and 1 <= cells <= 16):
            raise ConfigError(
                "a privacy blur needs margin in 0..0.5, speed and max_age in 0..10 and cells in 1..16, "
                f"got {margin:g}, {speed:g}, {max_age:g} and {cells}"
            )
        self._classes = check_classes(classes, contract)
        self._margin, self._speed, self._max_age, self._cells = margin, speed, max_age, cells
        self.closed_because: str | None = None
        """Why the last picture was blurred as a whole; None if it was not."""

    def __call__(self, shot: Shot, now: float) -> Image:
        """Return a picture fit to be shown, uint8 H×W×3; `now` is on the monotonic clock. Never raises."""
        try:
            reason = doubt(shot, self._classes, now, self._max_age)
            picture = coarse(shot.frame.image, self._cells)
            if reason is None:
                picture = self._mixed(shot, picture)
        except Exception as error:
            reason, picture = self._failed(shot, error)
        self.closed_because = reason
        return picture

    def _mixed(self, shot: Shot, blurred: Image) -> Image:
        """Copy what needs no protection into the blurred picture: what is forgotten here stays hidden."""
        protected = pixels_of(shot, self._classes, unclear=True)
        reach = self._margin + self._speed * self._lag(shot)
        pixels = math.ceil(reach * min(protected.shape))
        if pixels:
            square = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
            protected = cv2.dilate(protected, square)  # type: ignore[assignment]
        return cv2.copyTo(shot.frame.image, cv2.bitwise_not(protected), blurred)  # type: ignore[return-value]

    def _lag(self, shot: Shot) -> float:
        if shot.fresh or shot.masked_at is None:
            return 0.0
        return max(0.0, shot.frame.captured_at - shot.masked_at)

    def _failed(self, shot: Shot, error: Exception) -> tuple[str, Image]:
        reason = f"the blur failed: {type(error).__name__}"
        if reason != self.closed_because:  # once, and not for every frame
            _log.error("the whole picture is hidden", exc_info=error)
        try:
            check_frame(shot.frame.image)
            return reason, coarse(shot.frame.image, self._cells)
        except Exception:
            shape = getattr(shot.frame.image, "shape", ())
            return reason, np.zeros((*shape[:2], 3) if len(shape) >= 2 else (1, 1, 3), np.uint8)
