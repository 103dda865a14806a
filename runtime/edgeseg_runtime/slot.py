"""A place for one thing, where the newest wins."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds at most one item; putting a second one drops the first. Every drop is counted."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: T | None = None
        self._closed = False
        self.put_count = 0
        self.dropped = 0

    def put(self, item: T) -> bool:
        """Leave `item`, in place of one that nobody took. Returns False, and counts nothing, once closed."""
        with self._changed:
            if self._closed:
                return False
            self.put_count += 1
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify()
            return True

    def take(self) -> T | None:
        """Wait for an item and take it; None once the slot is closed and empty."""
        with self._changed:
            while self._item is None and not self._closed:
                self._changed.wait()
            item, self._item = self._item, None
            return item

    def close(self, *, discard: bool) -> None:
        """Accept nothing more; with `discard` the waiting item is dropped, without it can still be taken."""
        with self._changed:
            self._closed = True
            if discard and self._item is not None:
                self._item = None
                self.dropped += 1
            self._changed.notify_all()
