"""The temporal tricks in the shapes that the loop takes them in."""

from __future__ import annotations

from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.live.track import Masked
from edgeseg_runtime.result import Result, SemanticResult
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.temporal.cut import CutDetector
from edgeseg_runtime.temporal.objects import moved
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
    """Carries what the model said along the motion of the picture, within a scene: classes pixel by pixel, objects as
    wholes. See `temporal.warp` and `temporal.objects`.
    """

    def __init__(self, max_age_s: float = 0.5) -> None:
        self._warp, self._cuts = Warp(max_age_s), CutDetector()
        self._result: Result | None = None

    def keyframe(self, masked: Masked) -> None:
        """Carry this result from now on."""
        frame, self._result = masked.frame, masked.result
        self._warp.keyframe(thumbnail(frame.image), self._result.mask, frame.captured_at)

    def to(self, frame: Frame) -> Result | None:
        """Return the result on this frame; None after a cut, and where it is too old."""
        look = thumbnail(frame.image)
        if self._cuts.cut(look):
            self._warp.reset()
        if isinstance(self._result, InstanceResult):
            field = self._warp.motion(look, frame.captured_at)
            return None if field is None else moved(self._result, field)
        mask = self._warp.carry(look, frame.captured_at)
        return (
            None
            if mask is None or self._result is None
            else SemanticResult(mask, self._result.contract, self._result.times)
        )


_REMEMBERED = 8
"""Looks kept for frames that are still with the model."""
