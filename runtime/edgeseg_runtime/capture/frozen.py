"""Notice a camera that shows one picture for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgeseg_runtime.preprocess import Image

_STEP = 8
"""Every eighth row and column is compared. A sensor's noise changes pixels everywhere, so these tell."""
_MOVED = 16
"""Grey levels by which a pixel changes only if something moves; encoding one picture anew changes it by less."""
_SHARE = 0.3
"""Of the pixels, that encoding one picture anew as a key frame may change. H.264 of one picture was seen to change up
to 0.32 at first and below 0.2 from then on; of a static scene with noise of 0.5 to 4 grey levels, from 0.43 up."""


class FrozenWatch:
    """Told of each frame of a connection. Frozen is what has not changed for `after` seconds.

    Where each frame is coded for itself, what is compared must be the same to the bit: any tolerance would take a quiet
    scene for a frozen one. Where frames are coded as differences, noise may vanish between two key frames, and the
    encoder changes even a picture that does not change; so key frame is compared with key frame, allowing for that, and
    nothing is frozen before two of them have agreed. A stream with so few bits that its encoder never comes to rest is
    not found frozen.
    """

    def __init__(self, after: float) -> None:
        """`after` 0 never finds anything frozen."""
        self._after = after
        self._last: Image | None = None
        self._since = 0.0
        self._agreed = False

    def frozen(self, image: Image, now: float, key: bool | None = None) -> bool:
        """Return whether the camera is frozen, with a frame that came at `now` (monotonic seconds).

        `key` is whether it is a key frame, None where each frame is coded for itself.
        """
        if not self._after:
            return False
        if key is None:
            self._compare_exactly(image[::_STEP, ::_STEP], now)
        else:
            self._compare_coded(image[::_STEP, ::_STEP, 1], now, key)
        return self._agreed and now - self._since >= self._after

    def _compare_exactly(self, sample: Image, now: float) -> None:
        if self._last is not None and np.array_equal(sample, self._last):
            self._agreed = True
        else:
            self._begin(sample, now)

    def _compare_coded(self, sample: Image, now: float, key: bool) -> None:
        change: float = 0.0
        if self._last is not None and self._last.shape == sample.shape:
            difference = np.abs(sample.astype(np.int16) - self._last)
            moved = int(difference.max()) > _MOVED
            change = float(np.count_nonzero(difference)) / difference.size
        else:
            moved = True
        if moved or (key and change > _SHARE):
            self._begin(sample if key else None, now)
        elif key:
            self._last, self._agreed = sample.copy(), True

    def _begin(self, sample: Image | None, now: float) -> None:
        self._last = None if sample is None else sample.copy()
        self._since, self._agreed = now, False
