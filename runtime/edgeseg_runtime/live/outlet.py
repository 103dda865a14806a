"""A place between the loop and one output: a slow or broken output harms nobody but itself."""

from __future__ import annotations

import logging
from collections import Counter, deque
from threading import Condition, Thread
from time import monotonic
from typing import Any

from edgeseg_runtime.errors import EdgesegError, LostFrameError
from edgeseg_runtime.events import Events
from edgeseg_runtime.live.status import OutputStatus
from edgeseg_runtime.sinks.base import Shot, Sink

_log = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""How long an output must not fail before it counts as sound again."""


class Outlet:
    """Queues shots for a sink, the newest ones if it is too slow, and drives it from one thread.

    That is a thread of its own, or, for a sink that says `in_main_thread`, whoever calls `pump`. When the sink begins
    to fail, `output.failed` {output, error} says so, and `output.resumed` {output} when it has not failed for
    QUIET_SECONDS and writes. What a sink tells of itself (LostFrameError) is only counted.
    """

    def __init__(self, sink: Sink[Any], events: Events) -> None:
        self.sink = sink
        self._events = events
        self._queue: deque[Shot] = deque()
        self._changed = Condition()
        self._closing = False
        self._written = 0
        self._dropped: Counter[str] = Counter()
        self._error: str | None = None
        self._failed_at: float | None = None
        self._thread: Thread | None = None
        if not sink.in_main_thread:
            self._thread = Thread(target=self._work, name=f"edgeseg-{sink.name}", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        if self._thread is not None:
            self._thread.start()

    def put(self, shot: Shot) -> None:
        """Hand a shot over. Never waits: what does not fit pushes the oldest out."""
        with self._changed:
            if self._closing:
                return
            if len(self._queue) >= self.sink.backlog:
                self._queue.popleft()
                self._dropped["slow"] += 1
            self._queue.append(shot)
            self._changed.notify()

    def pump(self, timeout: float) -> None:
        """Write what waits, or let the sink see to itself when nothing came for `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing, timeout)
            shots = list(self._queue)
            self._queue.clear()
        if not shots:
            self._guard(self.sink.idle)
        for shot in shots:
            self._write(shot)

    def close(self, timeout: float) -> None:
        """Write what is queued and finish the sink, as far as `timeout` seconds allow."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is None:
            self.pump(0)
            self._guard(self.sink.close)
        elif self._thread.ident is None:
            self._guard(self.sink.close)
        else:
            self._thread.join(timeout)
            if self._thread.is_alive():
                with self._changed:
                    self._dropped["slow"] += len(self._queue)
                    self._queue.clear()
                self._failed(f"did not finish within {timeout:.1f} s")

    def status(self) -> OutputStatus:
        """Return its figures now."""
        with self._changed:
            return OutputStatus(self.sink.name, self._written, dict(self._dropped), self._error)

    def _work(self) -> None:
        while True:
            self.pump(self.sink.patience or 0.5)
            with self._changed:
                if self._closing and not self._queue:
                    break
        self._guard(self.sink.close)

    def _write(self, shot: Shot) -> None:
        try:
            self.sink.write(shot, self.sink.encode(shot))
        except Exception as error:
            with self._changed:
                self._dropped["failed"] += 1
            if isinstance(error, LostFrameError):
                self._error = str(error)
            else:
                self._failed(_line(error))
        else:
            with self._changed:
                self._written += 1
            self._worked()

    def _guard(self, action: Any) -> None:
        try:
            action()
        except Exception as error:
            self._failed(_line(error))

    def _failed(self, line: str) -> None:
        self._error = line
        if self._failed_at is None:
            self._events.publish("output.failed", output=self.sink.name, error=line)
        self._failed_at = monotonic()

    def _worked(self) -> None:
        if self._failed_at is not None and monotonic() - self._failed_at >= QUIET_SECONDS:
            self._failed_at = None
            self._events.publish("output.resumed", output=self.sink.name)


def _line(error: Exception) -> str:
    if not isinstance(error, EdgesegError):
        _log.error("an output failed", exc_info=error)  # a bug: its traceback is wanted
    return str(error) or type(error).__name__
