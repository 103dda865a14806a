"""Which frames go through the model, and which are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol

from edgeseg_runtime.live.schedule import Scheduler
from edgeseg_runtime.live.show import Show
from edgeseg_runtime.live.track import Masked, Track
from edgeseg_runtime.result import Result
from edgeseg_runtime.sources.base import Frame


class Skip(Protocol):
    """Decides, for one camera, whether a frame may go without the model of its own."""

    def unchanged(self, frame: Frame) -> bool:
        """Whether the last mask still holds for this frame."""
        ...

    def inferred(self, frame: Frame) -> None:
        """Take note of a frame that got a mask of its own."""
        ...


class Presenter(Protocol):
    """Gives the model its frames, and does something with what comes back. All but `start` in the model's thread."""

    def start(self) -> None:
        """Begin."""
        ...

    def next(self, timeout: float) -> tuple[Track, Frame] | None:
        """Wait for a frame that is to go through the model; None after `timeout` seconds at most."""
        ...

    def done(self, track: Track, frame: Frame, result: Result) -> None:
        """Take the mask of a frame that `next` gave."""
        ...

    def failed(self, track: Track, frame: Frame, *, ready: bool) -> None:
        """Learn that there is none, because the model failed, or was not `ready`."""
        ...

    def stop(self, timeout: float) -> None:
        """Show nothing more."""
        ...


class Inferred:
    """Shows each frame with a mask of its own, once it has one; frames that come meanwhile are overtaken.

    With `skip`, a frame on which nothing changed is shown with the last mask.
    """

    def __init__(self, tracks: Sequence[Track], show: Show, skip: Callable[[], Skip] | None) -> None:
        self._show = show
        self._skip = {id(track): skip() for track in tracks} if skip is not None else {}
        self._scheduler = Scheduler(tracks)
        for track in tracks:
            track.camera.on_frame = self._scheduler.wake

    def start(self) -> None:
        """Nothing runs beside the model."""

    def next(self, timeout: float) -> tuple[Track, Frame] | None:
        """Take the newest frame of the camera that is due."""
        taken = self._scheduler.next(timeout)
        if taken is None:
            return None
        track, frame = taken
        skip, last = self._skip.get(id(track)), track.masked
        if skip is None or last is None or not fits(last, frame) or not skip.unchanged(frame):
            return taken
        self._show(track, frame, last.result, last.frame.captured_at, fresh=False)
        track.served(monotonic())
        return None

    def done(self, track: Track, frame: Frame, result: Result) -> None:
        """Show it."""
        track.masked = Masked(frame, result)
        if (skip := self._skip.get(id(track))) is not None:
            skip.inferred(frame)
        self._show(track, frame, result, frame.captured_at, fresh=True)
        track.served(monotonic())

    def failed(self, track: Track, frame: Frame, *, ready: bool) -> None:  # noqa: ARG002
        """Book it."""
        if ready:
            track.ledger.book("failed")
        else:
            track.ledger.drop("no mask")
        track.served(monotonic())

    def stop(self, timeout: float) -> None:  # noqa: ARG002
        """Let `next` return."""
        self._scheduler.wake()


def fits(masked: Masked, frame: Frame) -> bool:
    """Whether a mask covers a frame: a camera may come back with another size."""
    return masked.result.mask.shape == frame.image.shape[:2]
