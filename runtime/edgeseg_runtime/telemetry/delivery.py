"""Takes events to a place that may be away for a while."""

from __future__ import annotations

import time
import uuid
from threading import Thread
from typing import Any, Protocol

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.live.status import OutputStatus
from edgeseg_runtime.telemetry.backoff import Backoff
from edgeseg_runtime.telemetry.encoding import event_json
from edgeseg_runtime.telemetry.mailbox import Mailbox
from edgeseg_runtime.telemetry.spool import Spool

_BATCH = 50


class DeliveryError(Exception):
    """A place did not take what was sent; its message holds no credentials. It is tried again."""


class Sender(Protocol):
    """A way to a place. Used by one thread."""

    title: str
    """What messages call the place; holds no credentials."""
    refused: int
    """Records that the place will never take, and that count as done."""

    def tend(self) -> None:
        """Keep the connection up, if there is one. Called about twice a second. Raises DeliveryError."""
        ...

    def send(self, records: list[bytes]) -> int:
        """Deliver records in order; return how many of the first are done. Raises DeliveryError if none is."""
        ...

    def close(self) -> None:
        """Say good-bye, in bounded time."""
        ...


class Delivery:
    """A listener (`events.subscribe(delivery)`) that spools each event, and sends it from a thread of its own.

    Each is a line of JSON with an `id` of its own, because one may arrive twice. A place that does not answer is tried
    again with growing waits; nothing that the spool holds is lost meanwhile. When a place goes away and when it is
    back, `delivery.failed` and `delivery.restored` are published, once.
    """

    def __init__(
        self,
        name: str,
        sender: Sender,
        spool: Spool,
        *,
        events: Events | None = None,
        backoff: Backoff | None = None,
        tend_every: float = 0.5,
    ) -> None:
        self._name, self._sender, self._spool, self._events = name, sender, spool, events
        self._backoff, self._tend_every = backoff or Backoff(), tend_every
        self._box: Mailbox[Event] = Mailbox()
        self._next_attempt = 0.0
        self._delivered = self._overrun = self._refused = 0
        self._error: str | None = None
        self._spool_error: str | None = None
        self._thread = Thread(target=self._run, name=f"edgeseg-{name}", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take an event; returns at once."""
        self._box.put(event)

    def status(self) -> OutputStatus:
        """Return what was delivered, what was given up and why, and what is wrong now."""
        dropped = {"spool": self._spool.dropped, "overrun": self._overrun, "refused": self._sender.refused}
        causes = {cause: number for cause, number in dropped.items() if number}
        return OutputStatus(self._name, self._delivered, causes, self._error or self._spool_error)

    @property
    def waiting(self) -> int:
        """Number of events in the spool."""
        return len(self._spool)

    def close(self, timeout: float = 2.0) -> None:
        """Spool what was given, try once more to send it, and end within `timeout` seconds. May be called again.

        What was not sent stays in a spool on disk for the next start.
        """
        self._box.close()
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while not self._box.closed:
                self._accept(self._patience())
                if time.monotonic() >= self._next_attempt:
                    self._attempt()
            self._accept(0)
            while self._error is None and len(self._spool):  # for as long as `close` waits, and the process lives
                self._attempt()
        finally:
            self._sender.close()
            self._spool.close()

    def _patience(self) -> float:
        left = self._next_attempt - time.monotonic()
        if left > 0:
            return min(left, self._tend_every)
        return 0.0 if len(self._spool) else self._tend_every

    def _accept(self, timeout: float) -> None:
        events, overrun = self._box.take(timeout)
        self._overrun += overrun
        if not events:
            return
        try:
            self._spool.append(event_json(event, id=uuid.uuid4().hex).encode() for event in events)
            self._spool_error = None
        except OutputError as error:
            self._spool_error = str(error)

    def _attempt(self) -> None:
        try:
            self._sender.tend()
            batch = self._spool.peek(_BATCH)
            done = self._sender.send(batch) if batch else 0
            if done:
                refused = self._sender.refused
                self._delivered += done - (refused - self._refused)
                self._refused = refused
                self._spool.acknowledge(done)
        except (DeliveryError, OutputError) as error:
            self._failed(str(error))
            return
        self._backoff.succeeded()
        if self._error is not None:
            self._error = None
            self._publish("delivery.restored", waiting=len(self._spool))

    def _failed(self, error: str) -> None:
        first = self._error is None
        self._error = error
        self._next_attempt = time.monotonic() + self._backoff.failed()
        if first:
            self._publish("delivery.failed", error=error)

    def _publish(self, kind: str, **data: Any) -> None:
        if self._events is not None:
            self._events.publish(kind, output=self._name, **data)
