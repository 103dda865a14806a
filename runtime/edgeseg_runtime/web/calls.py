"""Call what may take its time, or never come back, from a server that must not wait for it."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class CallerBusy(Exception):  # noqa: N818 - a matter of time
    """So many calls wait already that one more would not be answered in time."""


@dataclass(eq=False)
class _Call:
    function: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Caller:
    """Runs functions one after the other in a daemon thread. One that hangs holds up the later ones, nobody else."""

    def __init__(self, name: str, waiting: int = 8) -> None:
        self._queue: queue.Queue[_Call | None] = queue.Queue(waiting)
        self._closing = False
        self._thread = Thread(target=self._work, name=f"edgeseg-web-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    async def call(self, function: Callable[[], T], timeout: float) -> T:
        """Return what `function` returns and raise what it raises.

        Raises CallerBusy, and asyncio.TimeoutError when it has not come back after `timeout` seconds: a call that has
        begun then goes on by itself, one that has not is left out.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            self._queue.put_nowait(_Call(function, loop, future))
        except queue.Full:
            raise CallerBusy from None
        return await asyncio.wait_for(future, timeout)

    def close(self, timeout: float) -> None:
        """End the thread, unless it hangs in a call for longer than `timeout` seconds: it is then left behind."""
        self._closing = True
        with suppress(queue.Full):  # then it sees the flag
            self._queue.put_nowait(None)
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        while (call := self._queue.get()) is not None and not self._closing:
            if call.future.done():  # nobody waits for it any more
                continue
            try:
                value, error = call.function(), None
            except Exception as caught:
                value, error = None, caught
            with suppress(RuntimeError):  # the server's loop has ended meanwhile
                call.loop.call_soon_threadsafe(_settle, call.future, value, error)


def _settle(future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
