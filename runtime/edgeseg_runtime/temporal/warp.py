"""Carry the newest mask to the current frame, along the motion between their pictures."""

from __future__ import annotations

import cv2

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.temporal.flow import Field, Flow, Gray, carried, gray
from edgeseg_runtime.temporal.thumbnail import Thumbnail


class Warp:
    """Holds the newest mask with the picture it was made from. For one thread at a time."""

    def __init__(self, max_age_s: float = 0.5) -> None:
        """`max_age_s`: seconds between two frames above which a mask is not carried from one to the other.

        Raises ConfigError unless it is above 0.
        """
        if not max_age_s > 0:
            raise ConfigError(f"max_age_s must be above 0 seconds, got {max_age_s}")
        self.max_age_s = max_age_s
        self._flow = Flow()
        self._key: tuple[Gray, Mask, float] | None = None
        self._field: Field | None = None

    def keyframe(self, picture: Thumbnail, mask: Mask, captured_at: float) -> None:
        """Carry this mask from now on: uint8 H×W, made from the frame of `picture`, captured at `captured_at`.

        The mask is kept, not copied.
        """
        self._key, self._field = (gray(picture), mask, captured_at), None

    def carry(self, picture: Thumbnail, captured_at: float) -> Mask | None:
        """Return the mask as it should be on a later frame, uint8 of the same size as the keyframe's.

        None where there is no mask to carry: none was given, it is older than `max_age_s`, or the frames' size has
        changed. Raises FrameError for pictures too small to find motion in.
        """
        field = self.motion(picture, captured_at)
        if field is None or self._key is None:
            return None
        mask = self._key[1]
        return carried(mask, self._flow.where(field, (mask.shape[0], mask.shape[1])), cv2.INTER_NEAREST)

    def motion(self, picture: Thumbnail, captured_at: float) -> Field | None:
        """Return where each pixel of a later frame's thumbnail was in the keyframe's; None where `carry` gives none."""
        if self._key is None:
            return None
        earlier, _, made_at = self._key
        if captured_at - made_at > self.max_age_s or earlier.shape != picture.shape[:2]:
            return None
        current = gray(picture)
        # the motion up to the frame before is a good first guess of the motion up to this one
        self._field = self._flow.between(current, earlier, self._field)
        return self._flow.believable(self._field, current, earlier)

    def reset(self) -> None:
        """Forget the mask, as after a cut."""
        self._key, self._field = None, None
