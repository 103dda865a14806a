"""Open connections: few enough, and none that keeps silent for ever."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from typing import Any, cast

from aiohttp import web

from edgeseg_runtime.web.answers import HEADERS
from edgeseg_runtime.web.options import WebOptions

SEND_BUFFER = 64 * 1024
"""Bytes the kernel may hold for a client (Linux doubles it): with its default a slow one sees pictures seconds old."""

LINE_BYTES = 8190
HEADER_LINES = 64

# Requests that make no sense are answered, not logged: whoever reaches the port could fill the disk with them.
_unheard = logging.Logger("edgeseg_runtime.web.http", logging.CRITICAL + 1)


class Connections:
    """All open connections. Used by the server's loop only."""

    def __init__(self, options: WebOptions) -> None:
        self.options = options
        self._waiting: dict[Connection, None] = {}  # for a request, in the order in which they began to
        self._busy: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._busy)

    def add(self, connection: Connection) -> None:
        """Take in a new connection; where there are too many, end the one that has been silent for longest."""
        self._waiting[connection] = None
        if len(self) > self.options.sockets:
            longest = next(iter(self._waiting))
            self.remove(longest)  # it is lost only in the loop's next round, and more may be added in this one
            longest.abort()

    def mark(self, connection: Connection, busy: bool) -> None:
        """Say whether an answer is under way."""
        self.remove(connection)
        if busy:
            self._busy.add(connection)
        else:
            self._waiting[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._waiting.pop(connection, None)
        self._busy.discard(connection)

    async def abort_all(self) -> None:
        """End every connection now."""
        while len(self):
            for connection in [*self._waiting, *self._busy]:
                connection.abort()
            await asyncio.sleep(0)  # for the loop to let go of them


class Connection(web.RequestHandler):
    """One connection, which ends when a request does not come in time or an answer is not taken in time."""

    def __init__(self, manager: web.Server, connections: Connections) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            logger=_unheard,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADER_LINES,
            lingering_time=0.5,
            auto_decompress=False,
        )
        self._connections = connections
        self._deadline: asyncio.TimerHandle | None = None
        self._pipe: asyncio.Transport | None = None  # kept until it is lost: aiohttp lets go of its own earlier

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up a new connection."""
        super().connection_made(transport)
        self._pipe = cast(asyncio.Transport, transport)
        with suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._connections.add(self)
        self._limit(self._connections.options.request_seconds)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget it."""
        self._limit(None)
        self._pipe = None
        self._connections.remove(self)
        super().connection_lost(exc)

    def answering(self) -> None:
        """Begin to answer a request, which has a time limit of its own."""
        self._connections.mark(self, True)
        self._limit(self._connections.options.answer_seconds)

    def streaming(self) -> None:
        """Go on without a limit: whoever streams watches the time of every picture."""
        self._limit(None)

    def answered(self) -> None:
        """Wait for the next request."""
        if self._pipe is not None:
            self._connections.mark(self, False)
            self._limit(self._connections.options.request_seconds)

    def abort(self) -> None:
        """End it now, whatever is still to be sent."""
        if self._pipe is not None:
            self._pipe.abort()

    def handle_error(self, *arguments: Any, **named: Any) -> web.StreamResponse:
        """Answer what is no HTTP, without repeating any of it."""
        answer = super().handle_error(*arguments, **named)
        plain = web.Response(status=answer.status, text="this is no request the viewer understands\n", headers=HEADERS)
        plain.force_close()
        return plain

    def _limit(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)
