"""The viewer's server: one thread with an event loop, which frames, status and controls are handed to."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event as Flag
from threading import Thread
from time import monotonic

from aiohttp import web

from edgeseg_runtime.address import Address
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.events import Events
from edgeseg_runtime.live.status import Status
from edgeseg_runtime.web.access import Gate, HostList, new_token
from edgeseg_runtime.web.actions import Actions
from edgeseg_runtime.web.app import App
from edgeseg_runtime.web.board import Board
from edgeseg_runtime.web.calls import Caller
from edgeseg_runtime.web.connections import Connection, Connections
from edgeseg_runtime.web.controls import Controls
from edgeseg_runtime.web.encode import Encoder
from edgeseg_runtime.web.encoder_thread import EncoderThread
from edgeseg_runtime.web.event_log import EventLog
from edgeseg_runtime.web.hub import FrameHub
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.questions import Questions

_log = logging.getLogger(__name__)

BACKLOG = 128
_SETTLE_SECONDS = 0.01
"""For connections that were accepted at the last moment to be set up, so that they are closed like all others."""


class WebServer:
    """Shows a stream in browsers. Frames come in through `hub`, usually from a `WebSink`.

    Anybody who can reach another address than this machine's own needs a token; one is made unless it is given.
    Raises ConfigError for a token that is too short.
    """

    def __init__(
        self,
        address: Address,
        controls: Controls | None = None,
        *,
        status: Callable[[], Status] | None = None,
        metrics: Callable[[], str] | None = None,
        events: Events | None = None,
        token: str | None = None,
        options: WebOptions | None = None,
    ) -> None:
        self.address, self.options = address, options or WebOptions()
        self.token = token if token is not None or address.loopback else new_token()
        """What opens the viewer; None: it is open to whoever can reach it, which are this machine's programs."""
        Gate(self.token, address.port)  # a weak token is refused before anything is opened
        self.hub = FrameHub()
        self.encoder = Encoder(self.options)
        self._encoder_thread = EncoderThread(self.hub, self.encoder)
        self._controls, self._status, self._metrics = controls or Controls(), status, metrics
        self._events, self._event_log = events, EventLog()
        self._leave_events = self._nothing if events is None else events.subscribe(self._event_log)
        self._asking, self._controlling = Caller("asking"), Caller("controls")
        self._serving = Flag()
        self._thread: Thread | None = None
        self._end: Callable[[], None] = self._nothing
        self._error: Exception | None = None
        self._closed = False

    @property
    def url(self) -> str:
        """What a browser opens. Does not hold the token."""
        return self.address.url()

    @property
    def link(self) -> str:
        """The same with the token, if there is one: to be shown once to whoever started the stream, and not kept."""
        return self.url if self.token is None else f"{self.url}?token={self.token}"

    def start(self) -> None:
        """Listen and serve. Raises OutputError where the address cannot be listened on."""
        listener = _listen(self.address)
        self.address = replace(self.address, port=listener.getsockname()[1])
        self._encoder_thread.start()
        self._asking.start()
        self._controlling.start()
        self._thread = Thread(target=self._run, args=(listener,), name="edgeseg-web", daemon=True)
        self._thread.start()
        self._serving.wait()
        if self._error is not None:
            raise self._error

    def trouble(self) -> str | None:
        """Return what went wrong with a picture since the last call, if anything did."""
        return self._encoder_thread.trouble()

    def close(self, timeout: float = 2.0) -> None:
        """End every connection and every thread, within `timeout` seconds. Safe to call twice, and without `start`."""
        if self._closed:
            return
        self._closed = True
        deadline = monotonic() + timeout
        self._leave_events()
        self._end()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - monotonic()))
        self.hub.close()
        for end in (self._encoder_thread.join, self._asking.close, self._controlling.close):
            end(max(0.0, deadline - monotonic()))

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        except Exception as error:
            _log.exception("the viewer ended")  # a bug: its traceback is wanted
            self._error = error
        finally:
            self._serving.set()

    async def _serve(self, listener: socket.socket) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        connections = Connections(self.options)
        board = Board(self.hub, self._status, self._controls, self._asking, self.options)
        app = App(
            HostList(self.address, self.options.hosts),
            Gate(self.token, self.address.port),
            self.hub,
            board,
            self._event_log,
            Actions(self._controls, self._controlling, board, self.options),
            Questions(self._status, self._metrics, self._event_log, self._asking),
            self.options,
        )
        manager = web.Server(app.handle, handler_cancellation=True)
        server = await loop.create_server(lambda: Connection(manager, connections), sock=listener, backlog=BACKLOG)
        reports = asyncio.ensure_future(board.run())
        self._end = partial(_call_in, loop, stop.set)
        self._serving.set()
        await stop.wait()
        loop.remove_reader(listener)  # asyncio loses, unclosed, what it is accepting when its server is closed
        await asyncio.sleep(_SETTLE_SECONDS)
        server.close()
        await app.close()
        await connections.abort_all()
        reports.cancel()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    @staticmethod
    def _nothing() -> None:
        """Stand in for ending what was never begun."""


def _call_in(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(action)


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OutputError(
            f"the viewer cannot listen on {address.host} port {address.port}: {error.strerror}; "
            "choose another port, or 0 for any free one"
        ) from error
    listener.setblocking(False)
    return listener
