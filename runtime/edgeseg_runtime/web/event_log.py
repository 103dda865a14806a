"""The last events, for pages and programs that come later."""

from __future__ import annotations

import json
from collections import deque
from threading import Lock
from typing import Any

from edgeseg_runtime.events import Event

KEPT = 200


class EventLog:
    """A listener that keeps the newest events, numbered from 1. Safe from any thread."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lock = Lock()
        self._events: deque[dict[str, Any]] = deque(maxlen=kept)
        self._number = 0

    def __call__(self, event: Event) -> None:
        """Keep an event; the oldest goes. Raises ValueError or TypeError for data that are no JSON."""
        plain = event.as_dict()
        json.dumps(plain, allow_nan=False)  # or every page would fail on it later
        with self._lock:
            self._number += 1
            self._events.append({**plain, "number": self._number})

    def after(self, number: int) -> list[dict[str, Any]]:
        """Return the kept events above `number`, oldest first, as plain JSON values."""
        with self._lock:
            return [event for event in self._events if event["number"] > number]
