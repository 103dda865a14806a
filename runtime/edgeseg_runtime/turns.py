"""Lets several workers do one part of their work one after the other, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Over(Exception):  # noqa: N818 - the ordinary end of a worker whose turn will not come
    """The turns are closed."""


class Turns:
    """Turns 0, 1, 2…, each taken by one worker. Whoever holds a ticket must take its turn, or close."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._next = 0
        self._closed = False

    @contextmanager
    def turn(self, ticket: int) -> Iterator[None]:
        """Wait until all turns before are over; this one is over with the body, unless that raises. Raises Over."""
        with self._changed:
            self._changed.wait_for(lambda: self._next == ticket or self._closed)
            if self._closed:
                raise Over
        yield
        with self._changed:
            self._next += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Send everybody away who waits, and who comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
