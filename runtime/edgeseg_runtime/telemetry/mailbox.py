"""Hands things to a slower thread without ever making the giver wait."""

from __future__ import annotations

from collections import deque
from threading import Condition
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds up to `capacity` things in order. One more drops the oldest, and is counted."""

    def __init__(self, capacity: int = 1000) -> None:
        self._changed = Condition()
        self._things: deque[T] = deque()
        self._capacity = capacity
        self._lost = 0
        self._closed = False

    def put(self, thing: T) -> None:
        """Leave `thing`; never waits for anything slow. Once closed, nothing happens."""
        with self._changed:
            if self._closed:
                return
            if len(self._things) >= self._capacity:
                self._things.popleft()
                self._lost += 1
            self._things.append(thing)
            self._changed.notify()

    def take(self, timeout: float | None) -> tuple[list[T], int]:
        """Wait up to `timeout` seconds, and take everything, with the number lost since the last time."""
        deadline = None if timeout is None else monotonic() + timeout
        with self._changed:
            while not self._things and not self._closed:
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            things, lost = list(self._things), self._lost
            self._things.clear()
            self._lost = 0
            return things, lost

    @property
    def closed(self) -> bool:
        """Whether nothing more comes."""
        return self._closed

    def close(self) -> None:
        """Accept nothing more, and wake the taker; what is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
