"""What every source of frames is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgeseg_runtime.credentials import without_credentials
from edgeseg_runtime.preprocess import Image

__all__ = ["Frame", "Source", "without_credentials"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture on its way through the stream."""

    index: int
    """Its place among the frames the source gave, from 0."""
    image: Image
    """uint8 H×W×3, BGR."""
    captured_at: float
    """Seconds on the monotonic clock (`time.monotonic`) when it had been read."""
    position: float | None
    """Seconds into the recording, or since a live source's first frame; None for pictures."""
    name: str
    """What files made from it are called: the picture's stem, or the index in six digits."""
    camera: str = ""
    """The live camera it came from, by its name in the stream; empty where there is only one source."""


class Source(Protocol):
    """A recording: every frame once, in order. Read by one thread at a time."""

    @property
    def title(self) -> str:
        """What messages call it; never holds credentials."""
        ...

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of its frames where that is known beforehand."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames a second where the source tells."""
        ...

    @property
    def length(self) -> int | None:
        """Number of frames it declares; some containers only estimate it. None where it tells nothing."""
        ...

    @property
    def remarks(self) -> list[str]:
        """What a reader of the results should know, complete once the end is reached."""
        ...

    def read(self) -> Frame | None:
        """Return the next frame, None at the end. Raises SourceError."""
        ...

    def close(self) -> None:
        """Let go of the device or file. Call it from the thread that reads."""
        ...
