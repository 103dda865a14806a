"""What can be done from the page. Each control is optional; the page shows what there is.

What changes something is called from a thread of the viewer's own, one call at a time, and may take as long as
`WebOptions.control_seconds`; it refuses by raising an EdgesegError, whose message the page shows. What asks something
is called from another thread, about once a second while somebody looks, also while a change is under way; it should
answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict


class ZoneShape(TypedDict):
    """A named area of a camera's picture."""

    name: str
    camera: str
    points: list[list[float]]
    """At least three [x, y] corners, each 0..1 of the picture's width and height."""


class ModelControl(Protocol):
    """Which model serves."""

    def names(self) -> Sequence[str]:
        """Return the models that can be switched to, by the names that people are shown."""
        ...

    def current(self) -> str:
        """Return the name of the one that serves now."""
        ...

    def switch(self, name: str) -> None:
        """Let `name`, which is one of `names()`, serve. Raises EdgesegError if it is refused; the old one serves on."""
        ...


class RecordControl(Protocol):
    """Recording to files."""

    def recording(self) -> bool:
        """Return whether it records now."""
        ...

    def start(self) -> None:
        """Begin; nothing happens if it has begun. Raises EdgesegError."""
        ...

    def stop(self) -> None:
        """End; nothing happens if it has ended. Raises EdgesegError."""
        ...


class SnapshotControl(Protocol):
    """Pictures kept on the device."""

    def take(self, camera: str) -> str:
        """Keep the newest picture of a camera and return the name it got. Raises EdgesegError."""
        ...


class ZoneControl(Protocol):
    """Named areas that are watched for themselves."""

    def zones(self) -> Sequence[ZoneShape]:
        """Return all zones of all cameras."""
        ...

    def replace(self, zones: Sequence[ZoneShape]) -> None:
        """Put these in place of all there were, and keep them. Their form has been checked. Raises EdgesegError."""
        ...


@dataclass(frozen=True)
class Controls:
    """What this stream lets people do."""

    models: ModelControl | None = None
    record: RecordControl | None = None
    snapshot: SnapshotControl | None = None
    zones: ZoneControl | None = None
