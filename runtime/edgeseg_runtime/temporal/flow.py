"""Where each pixel was in an earlier picture: dense inverse search (Kroeger et al., ECCV 2016) on thumbnails."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.errors import FrameError
from edgeseg_runtime.temporal.thumbnail import Thumbnail

Field: TypeAlias = npt.NDArray[np.float32]
"""float32 h×w×2: what to add to a pixel's (x, y) to find it in the earlier picture, in thumbnail pixels."""
Gray: TypeAlias = npt.NDArray[np.uint8]
Plane = TypeVar("Plane", npt.NDArray[np.uint8], npt.NDArray[np.float32])

LEAST_SIDE = 16
"""Rows and columns below which no motion can be found: two of the search's patches."""

_WINDOW = (5, 5)
_MARGIN = 4
"""Grey levels by which motion must explain the picture worse than standing still before it is given up there."""


class Flow:
    """Finds motion backwards in time, at the size of thumbnails. Keeps its buffers; for one thread at a time."""

    def __init__(self) -> None:
        self._search, self._size = _search(), (0, 0)
        self._grids: dict[tuple[int, int], Field] = {}
        self._where = np.empty((0, 0, 2), np.float32)

    def between(self, current: Gray, earlier: Gray, guess: Field | None = None) -> Field:
        """Return where each pixel of `current` is in `earlier`.

        `guess`, the field of the frame before, helps where things have moved far. Raises FrameError for pictures
        that differ in size or have fewer than LEAST_SIDE rows or columns.
        """
        height, width = current.shape
        if current.shape != earlier.shape:
            raise FrameError(f"motion needs pictures of one size, got {_size(current)} and {_size(earlier)}")
        if min(height, width) < LEAST_SIDE:
            raise FrameError(f"motion needs pictures of at least {LEAST_SIDE}×{LEAST_SIDE}, got {_size(current)}")
        if self._size != (height, width):  # its buffers do not survive a change of size
            self._search, self._size = _search(), (height, width)
        # A search once given a guess falls back on it when given none: so it always gets one. It writes into it.
        start = np.zeros((height, width, 2), np.float32) if guess is None else guess.copy()
        return self._search.calc(current, earlier, start)  # type: ignore[return-value]

    def believable(self, field: Field, current: Gray, earlier: Gray) -> Field:
        """Return the field with no motion where the picture itself contradicts it: at what came into view just now."""
        moved = carried(earlier, cv2.add(field, self._grid(current.shape)), cv2.INTER_LINEAR)  # type: ignore[arg-type]
        error = cv2.blur(cv2.absdiff(moved, current), _WINDOW)
        still = cv2.blur(cv2.absdiff(earlier, current), _WINDOW)
        worse = cv2.compare(cv2.subtract(error, _MARGIN), still, cv2.CMP_GT)  # type: ignore[call-overload]
        return cv2.copyTo(field, cv2.bitwise_not(worse))  # type: ignore[return-value]

    def where(self, field: Field, shape: tuple[int, int]) -> Field:
        """Return where each pixel of a plane of `shape` (rows, columns) was, in that plane's pixels.

        Valid until the next call with the same flow.
        """
        rows, columns = field.shape[:2]
        if self._where.shape[:2] != shape:  # fresh memory of this size costs as much as filling it
            self._where = np.empty((*shape, 2), np.float32)
        scaled = cv2.transform(field, np.diag([shape[1] / columns, shape[0] / rows]).astype(np.float32))
        where = cv2.resize(scaled, shape[::-1], dst=self._where, interpolation=cv2.INTER_LINEAR)
        return cv2.add(where, self._grid(shape), dst=where)  # type: ignore[return-value]

    def _grid(self, shape: tuple[int, ...]) -> Field:
        height, width = shape[:2]
        if (height, width) not in self._grids:
            if len(self._grids) > 4:  # a camera that changes its size again and again
                self._grids.clear()
            rows, columns = np.mgrid[:height, :width].astype(np.float32)
            self._grids[height, width] = np.dstack([columns, rows])
        return self._grids[height, width]


def _search() -> cv2.DISOpticalFlow:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    # The preset stops at a quarter of the size, which suits pictures larger than a thumbnail. Going on to the
    # thumbnail's own pixels, and not to its halves, costs 1.3 ms and gains .006 to .023 mIoU (keyframe every 2 to 10
    # frames).
    search.setFinestScale(0)
    return search


def carried(plane: Plane, where: Field, interpolation: int) -> Plane:
    """Return `plane` (rows×columns, or with up to four channels) moved, given where each of its pixels was.

    What was outside the picture is taken from its nearest border.
    """
    # an empty array in place of None is read as coordinates
    moved: Plane = cv2.remap(plane, where, None, interpolation, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return moved


def gray(picture: Thumbnail) -> Gray:
    """Return what motion is looked for in."""
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]


def _size(picture: Gray) -> str:
    return "×".join(map(str, picture.shape))
