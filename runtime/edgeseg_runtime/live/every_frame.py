"""Shows every frame at once, with the newest mask carried along to it, while the model works on the newest it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, Thread
from time import monotonic
from typing import Protocol

from edgeseg_runtime.live.presenter import Skip, fits
from edgeseg_runtime.live.schedule import Scheduler
from edgeseg_runtime.live.show import Show
from edgeseg_runtime.live.track import Masked, Track
from edgeseg_runtime.result import Result
from edgeseg_runtime.sources.base import Frame

WAIT_SHARE = 0.8
"""Of a frame's time that it waits for a mask of its own, if the model is usually quicker than that."""
_GLANCE_SECONDS = 0.2


class Carry(Protocol):
    """Moves what the model said from the frame it was made from to a later one, for one camera."""

    def keyframe(self, masked: Masked) -> None:
        """Carry this result from now on."""
        ...

    def to(self, frame: Frame) -> Result | None:
        """Return the result on this frame, None where it cannot be carried so far."""
        ...


class EveryFrame:
    """Shows each camera's frames in a thread of its own; one that is shown with a carried mask counts as reused.

    A frame waits for its own mask only where the model is known to be quick enough for that.
    """

    def __init__(
        self, tracks: Sequence[Track], show: Show, carry: Callable[[], Carry], skip: Callable[[], Skip] | None
    ) -> None:
        self._viewers = {
            id(track): _Viewer(track, show, carry(), None if skip is None else skip(), self._wake) for track in tracks
        }
        self._scheduler = Scheduler([viewer.offer for viewer in self._viewers.values()])

    def start(self) -> None:
        """Start the cameras' threads."""
        for viewer in self._viewers.values():
            viewer.thread.start()

    def next(self, timeout: float) -> tuple[Track, Frame] | None:
        """Take the newest frame of the camera that is due. Raises what ended a camera's thread, which is a bug."""
        for viewer in self._viewers.values():
            if viewer.error is not None:
                raise viewer.error
        return self._scheduler.next(timeout)

    def done(self, track: Track, frame: Frame, result: Result) -> None:
        """Show this mask from now on."""
        self._viewers[id(track)].masked(Masked(frame, result))

    def failed(self, track: Track, frame: Frame, *, ready: bool) -> None:  # noqa: ARG002
        """Go on with the mask there is; the frame has been shown, or will be, without."""
        self._viewers[id(track)].masked(None)

    def stop(self, timeout: float) -> None:
        """End the cameras' threads."""
        for viewer in self._viewers.values():
            viewer.stop()
        deadline = monotonic() + timeout
        for viewer in self._viewers.values():
            if viewer.thread.ident is not None:
                viewer.thread.join(max(0.0, deadline - monotonic()))
        self._wake()

    def _wake(self) -> None:
        self._scheduler.wake()


class Offer:
    """What the scheduler sees of a camera: the newest frame that was not yet through the model."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self._frame: Frame | None = None
        self.taken_at = 0.0
        """When the model took the last one. Of a network camera's frame that is long after it was captured."""

    @property
    def deadline(self) -> float:
        """When it should be through the model."""
        return self.track.deadline

    @property
    def waiting(self) -> bool:
        """Whether there is one."""
        return self._frame is not None

    def put(self, frame: Frame) -> None:
        """Leave a frame, in place of an older one."""
        self._frame = frame

    def take(self) -> Frame | None:
        """Take it away."""
        self.taken_at = monotonic()
        frame, self._frame = self._frame, None
        return frame


class _Viewer:
    """The thread that shows one camera."""

    def __init__(self, track: Track, show: Show, carry: Carry, skip: Skip | None, offered: Callable[[], None]) -> None:
        self.offer = Offer(track)
        self._track, self._show, self._carry, self._skip, self._offered = track, show, carry, skip, offered
        self._changed = Condition()
        self._stopped = False
        self._news = False
        self._fresh: Masked | None = None
        self._took = float("inf")
        self.error: BaseException | None = None
        """What ended the thread before its time."""
        track.camera.on_frame = self._wake
        self.thread = Thread(target=self._run, name=f"edgeseg-show-{track.camera.name}", daemon=True)

    def masked(self, masked: Masked | None) -> None:
        """Learn what the model made of the frame that it took last."""
        now = monotonic()
        with self._changed:
            if masked is not None:
                self._took = now - self.offer.taken_at
                self._fresh = masked
            self._changed.notify()
        self._track.served(now)

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _wake(self) -> None:
        with self._changed:
            self._news = True
            self._changed.notify()

    def _run(self) -> None:
        try:
            self._view_all()
        except BaseException as error:  # raised again in the model's thread, which ends the stream with it
            self.error = error
            self._offered()

    def _view_all(self) -> None:
        while not self._stopped:
            frame = self._track.take()
            if frame is None:
                with self._changed:
                    self._changed.wait_for(lambda: self._news or self._stopped, _GLANCE_SECONDS)
                    self._news = False
                continue
            self._view(frame)

    def _view(self, frame: Frame) -> None:
        last = self._track.masked
        if last is None or self._skip is None or not fits(last, frame) or not self._skip.unchanged(frame):
            self.offer.put(frame)
            self._offered()
            self._wait_for(frame)
        if (fresh := self._take_fresh()) is not None:
            self._track.masked = last = fresh
            self._carry.keyframe(fresh)
            if self._skip is not None:
                self._skip.inferred(fresh.frame)
        if last is None:
            self._track.ledger.drop("no mask")
        elif last.frame.index == frame.index:
            self._show(self._track, frame, last.result, frame.captured_at, fresh=True)
        elif (result := self._carry.to(frame)) is not None:
            self._show(self._track, frame, result, last.frame.captured_at, fresh=False)
        else:
            self._track.ledger.drop("no mask")

    def _wait_for(self, frame: Frame) -> None:
        """Wait for this frame's own mask, where it usually comes before the next frame does."""
        period = self._track.period
        if period is None or self._took > WAIT_SHARE * period:
            return
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or (self._fresh is not None and self._fresh.frame.index >= frame.index),
                WAIT_SHARE * period,
            )

    def _take_fresh(self) -> Masked | None:
        with self._changed:
            fresh, self._fresh = self._fresh, None
            return fresh
