"""What the live loop needs of a camera and of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.live.status import ModelStatus
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.sources.base import Frame


class InferenceFailed(Exception):  # noqa: N818 - it fails one frame, not the stream
    """The model gave nothing for this frame: it raised, was stopped at its deadline, or its process died."""


class ModelNotReady(Exception):  # noqa: N818 - a matter of time
    """No process is there to run the model at this moment; one is being started."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where and when a frame was captured, for a model that looks at more than one frame."""

    camera: str
    captured_at: float
    """Seconds on the monotonic clock."""
    period: float | None = None
    """Seconds until the next frame that the model should be ready for; None where that is not known."""


class LiveCamera(Protocol):
    """A source that goes on by itself; `capture.camera.Camera` is one."""

    name: str
    on_frame: Callable[[], None] | None
    """Called, from any thread, when a frame has come or the state has changed."""

    @property
    def title(self) -> str:
        """What it reads, without credentials."""
        ...

    @property
    def state(self) -> str:
        """connecting, live, stalled, frozen, reconnecting or failed."""
        ...

    @property
    def reason(self) -> str | None:
        """Why it is not live."""
        ...

    @property
    def since(self) -> float:
        """When it came into this state, on the monotonic clock."""
        ...

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of its newest frame."""
        ...

    @property
    def captured(self) -> int:
        """Frames that came, over all connections. The newest one's index is one less."""
        ...

    def start(self) -> None:
        """Begin to connect."""
        ...

    def newest(self, after: int) -> Frame | None:
        """Return the newest frame if its index is above `after`. Does not wait."""
        ...

    def stop(self, timeout: float) -> None:
        """End it and its process within `timeout` seconds."""
        ...


class LiveModel(Protocol):
    """A model that may be exchanged or restarted between two frames; `serving.server.ModelServer` is one."""

    @property
    def contract(self) -> Contract:
        """Of the model that serves now."""
        ...

    def infer(self, frame: Image, moment: Moment | None = None) -> Result:
        """Segment a frame, with the contract of the very model that did. Raises InferenceFailed and ModelNotReady.

        Without a moment the frame stands for itself: it has nothing to do with those before.
        """
        ...

    def status(self) -> ModelStatus:
        """How it is doing."""
        ...

    def close(self) -> None:
        """End it within a second."""
        ...
