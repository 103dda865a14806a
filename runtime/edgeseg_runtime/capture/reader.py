"""What the worker needs of a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # brings OpenCV, which most workers do without
    from edgeseg_runtime.preprocess import Image


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A good frame."""

    image: Image
    """uint8 H×W×3, BGR."""
    arrived: float
    """Seconds on the monotonic clock."""
    position: float | None
    """The stream's own time stamp in seconds, where it has one."""
    key: bool | None = None
    """Whether it is a key frame; None where each frame is coded for itself."""


class Reader(Protocol):
    """An open source. Used by one thread."""

    @property
    def fps(self) -> float | None:
        """Frames a second that the source declares."""
        ...

    @property
    def damaged(self) -> int:
        """Frames that came damaged, or could not be shown because of a damaged one before them."""
        ...

    @property
    def late(self) -> int:
        """Frames that had waited too long on their way."""
        ...

    def read(self) -> Picture | None:
        """Wait for what comes next: a good frame, or None for anything that is not to be shown. Raises Lost."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...
