"""One page that looks: pictures and reports one at a time, the next one when the page has shown the last.

Nothing can pile up on the way, whatever the network does, so what is shown is never older than one message takes. That
is also all the memory that a viewer costs.

The page is sent reports as JSON text (`{"type": "state", "id", ...}`) and pictures as in `packets.pack`
(`"type": "frame"`). It sends `{"type": "watch", "camera": NAME or null}` and `{"type": "ack", "id"}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from time import monotonic
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.web.board import Board
from edgeseg_runtime.web.event_log import EventLog
from edgeseg_runtime.web.hub import FrameHub
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Key, Kind, Packet, facts, legend, milliseconds, pack
from edgeseg_runtime.web.waiting import next_packet

_log = logging.getLogger(__name__)

MESSAGE_BYTES = 1024
"""Of what a page may send in one message."""
MESSAGES_A_SECOND = 200.0
_NAME_LETTERS = 128


class _Broken(Exception):  # noqa: N818 - ends one viewer
    """The page does not keep to the protocol."""


class Viewer:
    """One page. `run` returns when either side has enough."""

    def __init__(
        self, socket: web.WebSocketResponse, hub: FrameHub, board: Board, events: EventLog, options: WebOptions
    ) -> None:
        self._socket, self._hub, self._board, self._events, self._options = socket, hub, board, events, options
        self._changed = asyncio.Event()
        self._acked = asyncio.Event()
        self._id = 0
        self._camera: str | None = None
        self._seen_picture = self._seen_report = self._seen_event = 0
        self._seen_contract: Contract | None = None
        self._trip: dict[str, Any] | None = None

    async def run(self) -> tuple[int, bytes]:
        """Serve the page; return the close code and the reason to give it."""
        with self._board.looking(self._changed):
            tasks = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._send())]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            if isinstance(error := task.exception(), _Broken):
                return WSCloseCode.POLICY_VIOLATION, str(error).encode()
            if isinstance(error, asyncio.TimeoutError):
                return WSCloseCode.POLICY_VIOLATION, b"a message was not acknowledged"
            if error is not None and not isinstance(error, ConnectionError):
                _log.error("a viewer failed", exc_info=error)  # a bug: its traceback is wanted
                return WSCloseCode.INTERNAL_ERROR, b"the viewer failed; the stream's log says why"
        return WSCloseCode.OK, b""

    async def _listen(self) -> None:
        budget, then = MESSAGES_A_SECOND, monotonic()
        async for message in self._socket:
            now = monotonic()
            budget, then = min(MESSAGES_A_SECOND, budget + (now - then) * MESSAGES_A_SECOND) - 1, now
            if budget < 0:
                raise _Broken("too many messages")
            if message.type is WSMsgType.PING:  # answered here, so that it counts
                await self._socket.pong(message.data)
            elif message.type is not WSMsgType.TEXT:
                raise _Broken("messages are JSON text")
            else:
                self._hear(message.data)

    def _hear(self, text: str) -> None:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            raise _Broken("messages are JSON text") from None
        match said:
            case {"type": "ack", "id": int(number)} if number == self._id and not self._acked.is_set():
                self._acked.set()
            case {"type": "watch", "camera": None}:
                self._watch(None)
            case {"type": "watch", "camera": str(camera)} if len(camera) <= _NAME_LETTERS:
                self._watch(camera)
            case _:
                raise _Broken("no such message is expected now")

    def _watch(self, camera: str | None) -> None:
        self._camera = camera
        self._seen_picture = 0  # a page that comes back is shown the newest picture, even one it has had
        self._changed.set()

    async def _send(self) -> None:
        while True:
            message = await self._next()
            self._id += 1
            self._acked.clear()
            await asyncio.wait_for(self._deliver(message), self._options.ack_seconds)

    async def _deliver(self, message: Packet | None) -> None:
        """Send a picture, or the newest report, and wait until the page has shown it."""
        sent_at = monotonic()
        if message is None:
            await self._socket.send_str(self._report())
            await self._acked.wait()
            return
        await self._socket.send_bytes(self._picture(message, sent_at))
        await self._acked.wait()
        self._trip = {"id": self._id, "ms": milliseconds(monotonic() - sent_at)}

    async def _next(self) -> Packet | None:
        """Wait for what is new: None for a report, else a picture."""
        while True:
            self._changed.clear()
            if self._board.number != self._seen_report:
                return None
            changed = asyncio.ensure_future(self._changed.wait())
            waiting: set[asyncio.Future[Any]] = {changed}
            picture: asyncio.Future[Packet] | None = None
            if self._camera is not None:
                key = Key(self._camera, Kind.VIEW)
                picture = asyncio.ensure_future(next_packet(self._hub, key, self._seen_picture))
                waiting.add(picture)
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if picture is not None and picture.done():
                    packet = picture.result()
                    if packet.camera == self._camera:  # it may have changed its mind meanwhile
                        self._seen_picture = packet.number
                        return packet
            finally:
                for future in waiting:
                    future.cancel()

    def _report(self) -> str:
        events = self._events.after(self._seen_event)
        self._seen_report = self._board.number
        self._seen_event = events[-1]["number"] if events else self._seen_event
        report = {"type": "state", "id": self._id, **self._board.report, "events": events}
        return json.dumps(report, allow_nan=False)

    def _picture(self, packet: Packet, now: float) -> bytes:
        header = {"type": "frame", "id": self._id, **facts(packet, now), "last_trip": self._trip}
        if packet.contract != self._seen_contract:
            header["legend"] = legend(packet.contract)
            self._seen_contract = packet.contract
        return pack(header, packet)
