"""Follow the picture from one inferred frame to the next, for what is remembered of the masks."""

from __future__ import annotations

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.temporal.flow import Field, Flow, Gray, Plane, carried, gray
from edgeseg_runtime.temporal.thumbnail import Thumbnail


class Track:
    """The motion since the frame before, or none where it is not wanted. For one thread at a time."""

    def __init__(self, motion: bool, max_gap_s: float) -> None:
        """`max_gap_s`: seconds above which two frames have nothing to do with each other.

        Raises ConfigError unless it is above 0.
        """
        if not max_gap_s > 0:
            raise ConfigError(f"max_gap_s must be above 0 seconds, got {max_gap_s}")
        self._motion, self._max_gap = motion, max_gap_s
        self._flow = Flow()
        self._before: tuple[Gray, float] | None = None
        self._field: Field | None = None
        self._where: Field | None = None

    def follow(self, picture: Thumbnail, captured_at: float) -> float | None:
        """Go on to the next frame; return the seconds since the one before, None where there is none to go on from.

        Raises FrameError for pictures too small to find motion in.
        """
        before, self._before = self._before, (gray(picture), captured_at)
        if before is None:
            return None
        current, (earlier, earlier_at) = self._before[0], before
        seconds = captured_at - earlier_at
        if not 0 < seconds <= self._max_gap or earlier.shape != current.shape:
            return None
        if self._motion:
            field = self._flow.between(current, earlier)
            self._field, self._where = self._flow.believable(field, current, earlier), None
        return seconds

    def carry(self, plane: Plane, interpolation: int) -> Plane:
        """Return a plane of the frame before (rows×columns, any size, or with up to four channels) where it is now."""
        if self._field is None:
            return plane
        shape = plane.shape[0], plane.shape[1]
        if self._where is None or self._where.shape[:2] != shape:
            self._where = self._flow.where(self._field, shape)
        return carried(plane, self._where, interpolation)

    def reset(self) -> None:
        """Forget the frame before."""
        self._before, self._field, self._where = None, None, None
