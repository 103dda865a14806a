"""A recording whose frames tell their own number."""

from __future__ import annotations

import time

import numpy as np

from edgeseg_runtime.sources.base import Frame


class Numbers:
    """Frames all of whose pixels are their number; pictures without a time, or a clip of `fps`."""

    def __init__(self, frames: int, fps: float | None = 25.0, size: tuple[int, int] = (120, 160)) -> None:
        self.title, self.size, self.fps, self.length = "numbers", size, fps, frames
        self.remarks: list[str] = []
        self._index = 0

    def read(self) -> Frame | None:
        if self._index == self.length:
            return None
        image = np.full((*self.size, 3), self._index, np.uint8)
        position = None if self.fps is None else self._index / self.fps
        self._index += 1
        return Frame(self._index - 1, image, time.monotonic(), position, f"{self._index - 1:06d}")

    def close(self) -> None: ...
