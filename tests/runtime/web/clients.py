"""What talks to the viewer in these tests: pages, slow readers, and bytes that no browser would send."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import zlib
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import aiohttp
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.address import Address
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.web.server import WebServer
from edgeseg_runtime.web.sink import WebSink


class Listens(Protocol):
    """A viewer, in this process or another."""

    @property
    def address(self) -> Address: ...

    @property
    def url(self) -> str: ...


def shot(
    contract: Contract,
    index: int = 0,
    *,
    camera: str = "",
    size: tuple[int, int] = (48, 64),
    image: Image | None = None,
    age: float = 0.0,
    masked: bool = True,
) -> Shot:
    """A grey frame captured `age` seconds ago whose left half has class 0 and right half class `index % 3`."""
    picture: Image = np.full((*size, 3), 100, np.uint8) if image is None else image
    height, width = picture.shape[:2]
    mask = np.full((height, width), 0 if masked else 255, np.uint8)
    if masked:
        mask[:, width // 2 :] = index % 3
    frame = Frame(index, picture, time.monotonic() - age, None, f"{index:06d}", camera)
    result = SemanticResult(mask, contract, StageTimes(0, 0, 0))
    return Shot(frame, result, color_table(contract), 0.5, fresh=masked)


class Producer:
    """A stream's thread that hands frames to a viewer, thirty a second, and notes how long that held it up."""

    def __init__(self, server: WebServer, contract: Contract, image: Image | None = None, fps: float = 30.0) -> None:
        self._sink, self._contract, self._image, self._period = WebSink(server), contract, image, 1 / fps
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.written = 0
        self.longest = 0.0

    def __enter__(self) -> Producer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)

    def _work(self) -> None:
        while not self._stop.wait(self._period):
            one = shot(self._contract, self.written, image=self._image)
            started = time.monotonic()
            self._sink.write(one, None)
            self.longest = max(self.longest, time.monotonic() - started)
            self.written += 1


@dataclass
class Message:
    """What the viewer sent: a report, or a picture with its parts."""

    header: dict[str, Any]
    jpeg: bytes = b""
    mask: npt.NDArray[np.uint8] | None = None


def parse(data: str | bytes) -> Message:
    """Read a message as the page does."""
    if isinstance(data, str):
        return Message(json.loads(data))
    (length,) = struct.unpack("<I", data[:4])
    header = json.loads(data[4 : 4 + length])
    body = data[4 + length :]
    packed = body[header["jpeg_bytes"] :]
    mask = None
    if packed:
        mask = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(header["mask_size"])
    return Message(header, body[: header["jpeg_bytes"]], mask)


class PageClient:
    """A page: acknowledges what it is sent when it is told to."""

    def __init__(self, server: Listens, camera: str | None = "", headers: dict[str, str] | None = None) -> None:
        self._server, self._camera, self._headers = server, camera, headers or {}

    async def __aenter__(self) -> PageClient:
        self._session = aiohttp.ClientSession()
        try:
            self.socket = await self._session.ws_connect(
                f"{self._server.url}live", headers=self._headers, max_msg_size=0
            )
        except BaseException:
            await self._session.close()
            raise
        if self._camera is not None:
            await self.watch(self._camera)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._session.close()

    async def watch(self, camera: str | None) -> None:
        await self.socket.send_json({"type": "watch", "camera": camera})

    async def ack(self, message: Message) -> None:
        await self.socket.send_json({"type": "ack", "id": message.header["id"]})

    async def receive(self, timeout: float = 10.0) -> Message:
        """Return the next message, without acknowledging it. Raises ConnectionError when the viewer closes."""
        message = await self.socket.receive(timeout)
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            raise ConnectionError(f"{message.type.name}: {message.data} {message.extra}")
        return parse(message.data)

    async def frame(self, timeout: float = 10.0) -> Message:
        """Return the next picture, acknowledged, like all reports before it."""
        while True:
            message = await self.receive(timeout)
            await self.ack(message)
            if message.header["type"] == "frame":
                return message

    async def report(self, timeout: float = 10.0) -> Message:
        """Return the next report, acknowledged, like all pictures before it."""
        while True:
            message = await self.receive(timeout)
            await self.ack(message)
            if message.header["type"] == "state":
                return message


def connect(server: Listens, receive_buffer: int | None = None) -> socket.socket:
    """Return an open connection that has not said anything."""
    client = socket.socket()
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(10)
    client.connect((server.address.host, server.address.port))
    return client


def exchange(server: Listens, request: bytes, timeout: float = 10.0) -> bytes:
    """Send bytes, and return all that comes until the server closes or `timeout` seconds have passed."""
    with connect(server) as client:
        client.settimeout(timeout)
        received = b""
        try:
            client.sendall(request)
            while part := client.recv(65536):
                received += part
        except (TimeoutError, ConnectionError):
            pass
        return received


def request(method: str = "GET", path: str = "/", headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """Return a whole request, after which the connection is to be closed."""
    lines = {"Host": "127.0.0.1", "Connection": "close", **(headers or {})}
    if body:
        lines.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def status(answer: bytes) -> int:
    """Return an answer's status; 0: there was no answer."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith((b"HTTP/1.0 ", b"HTTP/1.1 ")) else 0


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
"""Headers that open a WebSocket."""


def masked_frame(opcode: int, payload: bytes) -> bytes:
    """Return a WebSocket frame as a client sends it, with a mask of zeros."""
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    else:
        head += bytes([0x80 | 126]) + struct.pack(">H", length)
    return head + b"\0\0\0\0" + payload
