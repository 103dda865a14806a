"""Looks after one worker, from its start to its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from threading import Event
from time import monotonic
from typing import Any

from edgeseg_runtime.capture.backoff import Backoff
from edgeseg_runtime.capture.condition import Condition
from edgeseg_runtime.capture.connection import Connection
from edgeseg_runtime.capture.inbox import Inbox
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.ring import Ring
from edgeseg_runtime.capture.states import HOPELESS, Lost
from edgeseg_runtime.capture.tally import Tally
from edgeseg_runtime.credentials import scrub, secrets_of
from edgeseg_runtime.processes.child import Child
from edgeseg_runtime.processes.link import LinkClosed
from edgeseg_runtime.processes.memory import SharedMemory

_TICK = 0.1
"""Seconds between two looks at the clock when the worker says nothing."""


class Attendant:
    """Has the worker connect, again and again, and watches that it lives and gets on."""

    def __init__(
        self, source: str, options: CaptureOptions, inbox: Inbox, condition: Condition, tallies: Mapping[str, Tally]
    ) -> None:
        """Start the worker. It is told `source` over the link, never in its arguments, which are public."""
        self._source, self._options = source, options
        self._inbox, self._condition, self._tallies = inbox, condition, tallies
        self._stderr: deque[str] = deque(maxlen=5)
        self._child = Child("edgeseg_runtime.capture.worker", self._stderr.append)
        self._backoff = Backoff(options)
        self._first_index = inbox.captured
        self._ring: Ring | None = None
        self._connection: Connection | None = None
        self._ask_at = self._heard_at = monotonic()
        self._patience = options.start_timeout
        self.gave_frames = False

    @property
    def pid(self) -> int:
        """The worker's process number."""
        return self._child.pid

    def attend(self, over: Event) -> None:
        """Work until `over`, or until trying again cannot help. Raises Lost when the worker is of no more use."""
        try:
            while not over.is_set() and self._condition.state != "failed":
                now = monotonic()
                if self._connection is None and now >= self._ask_at:
                    self._ask(now)
                self._look(self._listen())
        except LinkClosed:
            raise self._died() from None
        except TimeoutError as error:  # it does not read its orders
            raise Lost("worker hung", str(error)) from None

    def end(self) -> None:
        """End the worker, whatever it does."""
        self._child.kill()

    def _ask(self, now: float) -> None:
        self._connection = Connection(self._options, now)
        for tally in self._tallies.values():
            tally.new_connection()
        self._child.link.send({"open": self._source, "options": asdict(self._options)})

    def _listen(self) -> float:
        """Wait for news for a moment, and hear all there are; return a time up to which nothing else has come.

        On a busy machine much may have come since this process last had its turn: it is no silence of the worker's.
        """
        answer = self._child.link.receive(_TICK)
        while True:
            if answer is not None:
                self._heard_at, self._patience = monotonic(), self._options.heartbeat_timeout
                self._hear(*answer, self._heard_at)
            asked_at = monotonic()
            answer = self._child.link.receive(0)
            if answer is None:
                return asked_at

    def _hear(self, message: dict[str, Any], fds: list[int], now: float) -> None:
        what = message["what"]
        if what == "alive" or self._connection is None:
            return
        if what == "frame":
            self._frame(self._connection, message, now)
        elif what == "ring":
            self._remake_ring(message["size"], fds[0])
        elif what == "opening":
            self._connection.opening_at = now
        elif what == "opened":
            self._connection.opened_at, self._condition.fps = now, message["fps"]
        elif what == "frozen":
            self._connection.frozen = message["frozen"]
        elif what == "trouble":
            for kind, tally in self._tallies.items():
                if tally.update(message[kind]) and kind == "damaged":
                    self._connection.damage(now)
        elif what == "lost":
            self._lost(Lost(message["reason"], message["detail"]), now)

    def _frame(self, connection: Connection, message: dict[str, Any], now: float) -> None:
        assert self._ring is not None, "a worker sends a ring before its first frame"
        connection.frame(now)
        self.gave_frames = True
        self._backoff.success()
        number = message["number"]
        self._inbox.put(self._ring, number, self._first_index + number, message["at"], message["position"])
        if connection.frozen:
            self._condition.to("frozen", "same picture")
        else:
            self._condition.to("live")
        self._condition.wake()

    def _remake_ring(self, size: list[int], fd: int) -> None:
        height, width = size
        memory = SharedMemory(fd, Ring.bytes((height, width)))
        self._ring = Ring(memory, (height, width))
        memory.close()  # the descriptor; the memory stays as long as the ring
        self._condition.resize((height, width))

    def _lost(self, lost: Lost, now: float) -> None:
        self._connection = None
        self._ask_at = now + self._backoff.failure(lost.reason)
        self._inbox.clear()
        if lost.reason in HOPELESS:
            self._condition.to("failed", lost.reason, lost.detail)
        else:
            self._condition.away(lost.reason, lost.detail)

    def _look(self, now: float) -> None:
        """Notice what does not happen. Raises Lost for a worker that hangs."""
        for tally in self._tallies.values():
            tally.report(now)
        if now - self._heard_at > self._patience:
            raise Lost("worker hung", f"no sign of life for {self._patience:g} s")
        if self._connection is not None:
            self._connection.check(now)
            if self._connection.slow(now) and self._condition.reason is None:
                self._condition.away("timeout", "no answer yet")
            why = self._connection.stalled(now)
            if why is not None:
                self._condition.to("stalled", why)

    def _died(self) -> Lost:
        self._child.kill()  # it is dead already; this collects it, and what it printed
        said = scrub(" ".join(self._stderr), secrets_of(self._source))
        return Lost("worker died", f"exit code {self._child.exit_code} {said}".strip())
