"""What happens to a running stream besides its frames: told once, to whoever listens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeAlias

Listener: TypeAlias = "Callable[[Event], None]"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """One thing that happened. Its data are plain JSON values and hold no credentials."""

    kind: str
    """Dotted, the subject first: `source.state`, `model.swapped`, `record.failed`, `zone.enter`."""
    source: str = ""
    """Name of the camera it is about; empty where it is about the whole stream."""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)
    """Seconds since 1970, UTC, by this machine's clock: for people. Nothing measures durations with it."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"kind": self.kind, "source": self.source, "at": self.at, **self.data}


class Events:
    """Passes events on to its listeners, in the thread that publishes.

    A listener must not block: what takes time puts the event into a queue of its own. One that raises is logged and
    stays; it harms neither the publisher nor the others.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = Lock()

    def publish(self, kind: str, source: str = "", **data: Any) -> None:
        """Tell every listener. Never raises."""
        event = Event(kind, source, data)
        for listener in self._listeners:
            _tell(listener, event)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; the function that is returned takes it away again."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe


def _tell(listener: Listener, event: Event) -> None:
    try:
        listener(event)
    except Exception:
        _log.exception("a listener failed on %s", event.kind)
