"""What every output of a stream is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import Lock
from typing import Generic, TypeVar

from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.sources.base import Frame

T = TypeVar("T")


class Shot:
    """A frame, what the model says of it, and the picture of both: drawn when first asked for, once for all outputs."""

    def __init__(
        self,
        frame: Frame,
        result: Result,
        table: Image,
        opacity: float,
        *,
        masked_at: float | None = None,
        fresh: bool = True,
    ) -> None:
        self.frame, self.result = frame, result
        self.masked_at = frame.captured_at if fresh else masked_at
        """When the frame that the mask was made from was captured (`time.monotonic`); None: there is no mask, and the
        result's is all 255."""
        self.fresh = fresh
        """Whether the mask was made from this very frame."""
        self._table, self._opacity = table, opacity
        self._picture: Image | None = None
        self._lock = Lock()

    @property
    def picture(self) -> Image:
        """The frame with the coloured result over it, uint8 H×W×3 BGR. Not to be drawn on: others show it too."""
        with self._lock:
            if self._picture is None:
                self._picture = self.result.drawn_on(self.frame.image, self._table, self._opacity)
            return self._picture

    def drawn(self, opacity: float) -> Image:
        """Return the picture as `picture` is, but with a mask of this opacity; 0 is the frame itself."""
        if opacity == self._opacity:
            return self.picture
        if opacity == 0:
            return self.frame.image
        return self.result.drawn_on(self.frame.image, self._table, opacity)


class Sink(ABC, Generic[T]):
    """An output. Costly work belongs in `encode`, which workers call at the same time and in any order."""

    name = "output"
    """What figures and events call it."""

    backlog: int = 1
    """Shots that may wait for it in a live stream; what does not fit is dropped, the oldest first."""

    in_main_thread: bool = False
    """Whether it must be driven from the thread that runs the stream, as windows must."""

    patience: float | None = None
    """Seconds after which `idle` wants to be called when no frame comes; None: it need not be."""

    wanted: bool = True
    """Turns False when whoever looks wants no more: the stream then ends, as asked."""

    @abstractmethod
    def encode(self, shot: Shot) -> T:
        """Prepare what `write` needs. Called from several threads at once."""

    @abstractmethod
    def write(self, shot: Shot, encoded: T) -> None:
        """Put out one frame: in order and one at a time, but from any thread, unless `in_main_thread`.

        Raises OutputError.
        """

    def idle(self) -> None:
        """Called when no frame came for a while; most outputs have nothing to do then."""

    @abstractmethod
    def close(self) -> None:
        """Finish, so that what was written can be used. Called once, after an error too."""
