"""From a request to its answer: guards, then a fixed table of routes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias
from weakref import WeakSet

from aiohttp import HttpVersion10, WSCloseCode, hdrs, web

from edgeseg_runtime.web.access import Gate, HostList, check_origin
from edgeseg_runtime.web.actions import Actions
from edgeseg_runtime.web.answers import HEADERS, body, refusal
from edgeseg_runtime.web.board import Board
from edgeseg_runtime.web.connections import Connection
from edgeseg_runtime.web.event_log import EventLog
from edgeseg_runtime.web.hub import FrameHub
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.page import load_page
from edgeseg_runtime.web.pictures import Pictures
from edgeseg_runtime.web.questions import Questions
from edgeseg_runtime.web.refusals import Refused
from edgeseg_runtime.web.seats import Seats
from edgeseg_runtime.web.viewer import MESSAGE_BYTES, Viewer

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
"""How long a page may take to agree to the end of its connection."""


class App:
    """Answers requests. Used by the server's loop only."""

    def __init__(
        self,
        hosts: HostList,
        gate: Gate,
        hub: FrameHub,
        board: Board,
        events: EventLog,
        actions: Actions,
        questions: Questions,
        options: WebOptions,
    ) -> None:
        self._hosts, self._gate, self._hub, self._board = hosts, gate, hub, board
        self._events, self._options = events, options
        self.seats = Seats(options.clients, options.clients_per_address)
        self._sockets: WeakSet[web.WebSocketResponse] = WeakSet()
        self._files = load_page()
        pictures = Pictures(hub, options)
        self._streams: dict[str, Handler] = {"/stream.mjpg": pictures.stream, "/live": self._live}
        self._routes: dict[str, dict[str, Handler]] = {
            "/": {"GET": self._index},
            **{f"/{name}": {"GET": self._file(name)} for name in self._files if not name.endswith(".html")},
            **{path: {"GET": self._seated(handler)} for path, handler in self._streams.items()},
            "/snapshot.jpg": {"GET": pictures.snapshot},
            "/metrics": {"GET": questions.metrics},
            "/api/status": {"GET": questions.status},
            "/api/events": {"GET": questions.events},
            "/api/model": {"POST": actions.model},
            "/api/record": {"POST": actions.record},
            "/api/snapshot": {"POST": actions.snapshot},
            "/api/zones": {"POST": actions.zones},
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        connection = request.protocol
        if not isinstance(connection, Connection):
            raise TypeError(f"a request of an unknown connection {connection!r}")
        connection.answering()
        try:
            answer = await self._answer(request)
            # written here and not by the caller, so that the time a client takes for it is limited
            await answer.prepare(request)
            await answer.write_eof()
            return answer
        finally:
            connection.answered()

    async def close(self) -> None:
        """Tell every page that the viewer ends."""
        sockets = list(self._sockets)
        await asyncio.gather(*(_close(socket, WSCloseCode.GOING_AWAY, b"the viewer ends") for socket in sockets))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._route(request)(request)
        except Refused as refused:
            return self._refusal(request, refused)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("a request could not be answered")  # a bug: its traceback is wanted
            return refusal(Refused(500, "this could not be answered; the stream's log says why"))

    def _route(self, request: web.BaseRequest) -> Handler:
        """Return what answers the request. Raises Refused."""
        if request.version < HttpVersion10:
            raise Refused(400, "the viewer speaks HTTP/1.1")
        self._hosts.check(request)
        check_origin(request)
        path = request.raw_path.partition("?")[0]
        if path == "/" and request.method == hdrs.METH_GET and "token" in request.query:
            return self._enter
        self._gate.check(request)
        methods = self._routes.get(path)
        if methods is None:
            raise Refused(404, "there is nothing here")
        if request.method not in methods:
            raise Refused(405, "this is not done in this way", {hdrs.ALLOW: ", ".join(methods)})
        return methods[request.method]

    def _refusal(self, request: web.BaseRequest, refused: Refused) -> web.Response:
        """Return the answer; people who open the page without its token are told where to find it."""
        if refused.status == 401 and request.raw_path.partition("?")[0] == "/":
            answer = body(*self._files["denied.html"], status=401, headers=refused.headers)
            answer.force_close()
            return answer
        return refusal(refused)

    async def _index(self, request: web.BaseRequest) -> web.StreamResponse:  # noqa: ARG002
        return body(*self._files["index.html"])

    def _file(self, name: str) -> Handler:
        async def answer(request: web.BaseRequest) -> web.StreamResponse:  # noqa: ARG001
            return body(*self._files[name])

        return answer

    async def _enter(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take the token of the link into a cookie, and the browser to the page without it."""
        if not self._gate.open and not self._gate.is_token(request.query["token"]):
            raise Refused(401, "the viewer's token is wrong", {hdrs.WWW_AUTHENTICATE: "Bearer"})
        answer = body(b"", "text/plain", 303, {hdrs.LOCATION: "/"})
        if not self._gate.open:
            answer.set_cookie(self._gate.cookie_name, self._gate.cookie, path="/", httponly=True, samesite="Strict")
        return answer

    def _seated(self, handler: Handler) -> Handler:
        """Return a handler for what goes on and on: as many at a time as there are places."""

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            connection = request.protocol
            if not isinstance(connection, Connection):
                raise TypeError(f"a request of an unknown connection {connection!r}")
            with self.seats.seat(request.remote):
                connection.streaming()
                try:
                    return await handler(request)
                except (Refused, ConnectionError):
                    raise
                except Exception as error:
                    _log.exception("a stream broke off")  # a bug: its traceback is wanted
                    connection.abort()  # its answer has begun, so there can be no other
                    raise ConnectionResetError from error

        return answer

    async def _live(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one page over a WebSocket."""
        socket = web.WebSocketResponse(
            compress=False, autoping=False, max_msg_size=MESSAGE_BYTES, timeout=CLOSE_SECONDS
        )
        socket.headers.update(HEADERS)
        if not socket.can_prepare(request).ok:
            raise Refused(426, "this is a WebSocket", {hdrs.UPGRADE: "websocket"})
        await socket.prepare(request)
        self._sockets.add(socket)
        code, reason = await Viewer(socket, self._hub, self._board, self._events, self._options).run()
        await _close(socket, code, reason)
        return socket


async def _close(socket: web.WebSocketResponse, code: int, reason: bytes) -> None:
    with suppress(asyncio.TimeoutError, ConnectionError):
        await asyncio.wait_for(socket.close(code=code, message=reason, drain=False), CLOSE_SECONDS)
