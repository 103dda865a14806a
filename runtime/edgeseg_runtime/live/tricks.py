"""The temporal tricks in the shapes that the loop takes them in."""

from __future__ import annotations

from edgeseg_runtime.live.track import Masked
from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.temporal.cut import CutDetector
from edgeseg_runtime.temporal.static import StaticScene
from edgeseg_runtime.temporal.thumbnail import Thumbnail, thumbnail
from edgeseg_runtime.temporal.warp import Warp


class StaticSkip:
    """Lets frames on which nothing changed go without the model; see `temporal.static`."""

    def __init__(self, refresh_s: float = 1.0) -> None:
        self._scene = StaticScene(refresh_s)
        self._looks: dict[int, Thumbnail] = {}

    def unchanged(self, frame: Frame) -> bool:
        """Whether the last mask still holds."""
        look = thumbnail(frame.image)
        # By frame: in a stream that shows every frame, masks come back while later frames are being looked at.
        self._looks = {index: old for index, old in self._looks.items() if index > frame.index - _REMEMBERED}
        self._looks[frame.index] = look
        return not self._scene.changed(look, frame.captured_at)

    def inferred(self, frame: Frame) -> None:
        """Compare with this frame from now on."""
        look = self._looks.get(frame.index)
        self._scene.inferred(thumbnail(frame.image) if look is None else look, frame.captured_at)


class FlowCarry:
    """Carries masks along the motion of the picture, within a scene; see `temporal.warp`."""

    def __init__(self, max_age_s: float = 0.5) -> None:
        self._warp, self._cuts = Warp(max_age_s), CutDetector()

    def keyframe(self, masked: Masked) -> None:
        """Carry this mask from now on."""
        frame = masked.frame
        self._warp.keyframe(thumbnail(frame.image), masked.result.mask, frame.captured_at)

    def to(self, frame: Frame) -> Mask | None:
        """Return the mask on this frame; None after a cut, and where it is too old."""
        look = thumbnail(frame.image)
        if self._cuts.cut(look):
            self._warp.reset()
        return self._warp.carry(look, frame.captured_at)


_REMEMBERED = 8
"""Looks kept for frames that are still with the model."""
