"""Whose frame goes through the model next."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Condition
from typing import Protocol

from edgeseg_runtime.live.track import Track
from edgeseg_runtime.sources.base import Frame


class Queue(Protocol):
    """One camera's waiting frame."""

    @property
    def track(self) -> Track:
        """Whose it is."""
        ...

    @property
    def deadline(self) -> float:
        """When it should be through the model, on the monotonic clock."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether there is one."""
        ...

    def take(self) -> Frame | None:
        """Take it."""
        ...


class Scheduler:
    """Earliest deadline first (Liu and Layland, "Scheduling Algorithms for Multiprogramming", JACM 1973).

    A camera's deadline is one of its frame times after it was last served. So each gets its share by its own rate, and
    one that gives nothing costs the others nothing.
    """

    def __init__(self, queues: Sequence[Queue]) -> None:
        self._queues = queues
        self._changed = Condition()
        self._news = False

    def wake(self) -> None:
        """Look again: a frame came, or something else happened."""
        with self._changed:
            self._news = True
            self._changed.notify()

    def next(self, timeout: float) -> tuple[Track, Frame] | None:
        """Wait for a frame and take it; None after `timeout` seconds without one, or when woken for something else."""
        if (found := self._take()) is not None:
            return found
        with self._changed:
            self._changed.wait_for(lambda: self._news, timeout)
            self._news = False
        return self._take()

    def _take(self) -> tuple[Track, Frame] | None:
        for queue in sorted(self._queues, key=lambda queue: queue.deadline):
            if queue.waiting and (frame := queue.take()) is not None:
                return queue.track, frame
        return None
