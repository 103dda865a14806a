"""What state a camera is in, told to whoever wants to know."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from edgeseg_runtime.capture.states import Reason, State
from edgeseg_runtime.events import Events

_log = logging.getLogger(__name__)


class Condition:
    """State, reason and since when. Changed by one thread, read by any."""

    def __init__(self, camera: str, events: Events) -> None:
        self._camera, self._events = camera, events
        self._now: tuple[State, Reason | None, float] = ("connecting", None, monotonic())
        self.on_change: Callable[[], None] | None = None
        self.size: tuple[int, int] | None = None
        self.fps: float | None = None
        self.ever_live = False

    @property
    def state(self) -> State:
        """The state now."""
        return self._now[0]

    @property
    def reason(self) -> Reason | None:
        """Why it is not live."""
        return self._now[1]

    @property
    def since(self) -> float:
        """When it came into this state, on the monotonic clock."""
        return self._now[2]

    def to(self, state: State, reason: Reason | None = None, detail: str = "") -> None:
        """Change, and tell, unless it is that already. `detail` must be free of credentials."""
        before, why, since = self._now
        if (state, reason) == (before, why):
            return
        self.ever_live = self.ever_live or state == "live"
        self._now = (state, reason, since if state == before else monotonic())
        self._events.publish("source.state", self._camera, state=state, reason=reason, detail=detail)
        self.wake()

    def away(self, reason: Reason, detail: str = "") -> None:
        """There is no connection, but will be tried again."""
        self.to("reconnecting" if self.ever_live else "connecting", reason, detail)

    def resize(self, size: tuple[int, int]) -> None:
        """Its frames are of this (height, width) from now on."""
        if size != self.size:
            self.size = size
            self._events.publish("source.size", self._camera, height=size[0], width=size[1])

    def wake(self) -> None:
        """Wake whoever waits for this camera."""
        if self.on_change is not None:
            try:
                self.on_change()
            except Exception:
                _log.exception("waking the reader of camera %s failed", self._camera)
