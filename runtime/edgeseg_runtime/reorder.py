"""Puts results of several workers back into order, and holds workers back that run ahead."""

from __future__ import annotations

from threading import Condition, Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class ReorderBuffer(Generic[T]):
    """Workers put items under consecutive tickets 0, 1, 2…; one reader at a time takes them in that order."""

    def __init__(self, capacity: int, workers: int) -> None:
        lock = Lock()
        self._room, self._ready, self._over = Condition(lock), Condition(lock), Condition(lock)
        self._capacity, self._workers = capacity, workers
        self._items: dict[int, T] = {}
        self._next = 0  # the ticket to give out next
        self._done = 0  # tickets below are done with: the reader came back for more
        self._error: BaseException | None = None
        self._closed = False

    def put(self, ticket: int, item: T) -> bool:
        """Hand in an item, waiting while it is `capacity` or more ahead of what is done. False once closed."""
        with self._room:
            while ticket >= self._done + self._capacity and not self._closed:
                self._room.wait()
            if self._closed:
                return False
            self._items[ticket] = item
            if ticket == self._next:
                self._ready.notify()
            return True

    @property
    def ready(self) -> bool:
        """Whether the item that is next in order has been put and not been taken."""
        with self._ready:
            return self._next in self._items

    def take(self, timeout: float | None = None) -> list[T] | None:
        """Return the items that are next in order, [] after `timeout` seconds without one, None after the last.

        Coming back means that the items returned before are done with. Raises what a worker failed with.
        """
        with self._ready:
            if self._done != self._next:
                self._done = self._next
                self._room.notify_all()
            while self._error is None and self._next not in self._items and self._workers > 0:
                if not self._ready.wait(timeout):
                    return []
            if self._error is not None:
                raise self._error
            ready: list[T] = []
            while self._next in self._items:
                ready.append(self._items.pop(self._next))
                self._next += 1
            return ready or None

    def worker_done(self, error: BaseException | None = None) -> None:
        """Say that a worker puts nothing more, and what stopped it if something did."""
        with self._ready:
            self._workers -= 1
            self._error = self._error or error
            self._ready.notify()
            self._over.notify()

    def wait_for_workers(self, timeout: float | None = None) -> bool:
        """Return whether no worker puts anything more, after `timeout` seconds at most. Raises what one failed with."""
        with self._over:
            self._over.wait_for(lambda: self._error is not None or self._workers == 0, timeout)
            if self._error is not None:
                raise self._error
            return self._workers == 0

    def close(self) -> None:
        """Send waiting workers away; nothing is accepted any more."""
        with self._room:
            self._closed = True
            self._room.notify_all()
