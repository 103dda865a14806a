"""Clients that a viewer has to put up with, and the naive ways of serving them."""

from __future__ import annotations

import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.runtime.web.clients import UPGRADE, Listens, connect, masked_frame, parse, request

SLOW = 10_000
"""Bytes a second."""


class SlowSocket:
    """Reads 10 KB a second, whatever is there."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.ended = False
        self._free_at = time.monotonic()

    def take(self, number: int) -> bytes:
        """Return exactly `number` bytes. Raises ConnectionError at the end."""
        received = b""
        while len(received) < number:
            part = self.client.recv(min(500, number - len(received)))
            if not part or self.ended:
                raise ConnectionError("the end")
            received += part
            self._free_at = max(self._free_at, time.monotonic() - 0.1) + len(part) / SLOW
            time.sleep(max(0.0, self._free_at - time.monotonic()))
        return received


class SlowPage:
    """A page at 10 KB a second. `lags` holds, for each picture, how many newer frames there were when it was in."""

    def __init__(self, server: Listens, newest: Callable[[], int], camera: str = "") -> None:
        self._camera = camera
        self.lags: list[int] = []
        self._newest = newest
        self._socket = SlowSocket(connect(server, receive_buffer=4096))
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.ended = True
        with suppress(OSError):
            self._socket.client.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.client.close()

    def _work(self) -> None:
        with suppress(OSError):
            self._socket.client.sendall(request(path="/live", headers=UPGRADE))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self._socket.client.recv(1)
            self._say({"type": "watch", "camera": self._camera})
            while True:
                self._hear()

    def _hear(self) -> None:
        first, length = self._socket.take(2)
        if length == 126:
            (length,) = struct.unpack(">H", self._socket.take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._socket.take(8))
        data = self._socket.take(length)
        message = parse(data if first & 15 == 2 else data.decode())
        if message.header["type"] == "frame":
            self.lags.append(self._newest() - message.header["frame"])
        self._say({"type": "ack", "id": message.header["id"]})

    def _say(self, value: object) -> None:
        self._socket.client.sendall(masked_frame(0x1, json.dumps(value).encode()))


class NaiveQueue:
    """The naive way: every frame is queued for the reader and sent in order, with nothing coming back."""

    def __init__(self, newest: Callable[[], int], size: int) -> None:
        self.lags: list[int] = []
        self._newest, self._size = newest, size
        self._queue: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._near, far = socket.socketpair()
        self._slow = SlowSocket(far)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._read)]
        for thread in self._threads:
            thread.start()

    def put(self, frame: int) -> None:
        self._queue.put(frame)

    def close(self) -> None:
        self._queue.put(None)
        self._slow.ended = True
        for end in (self._near, self._slow.client):
            end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in (self._near, self._slow.client):
            end.close()

    def _send(self) -> None:
        with suppress(OSError):
            while (frame := self._queue.get()) is not None:
                self._near.sendall(struct.pack(">I", frame) + bytes(self._size - 4))

    def _read(self) -> None:
        with suppress(OSError):
            while True:
                (frame,) = struct.unpack(">I", self._slow.take(self._size)[:4])
                self.lags.append(self._newest() - frame)


@contextmanager
def slow_stream_readers(server: Listens, number: int) -> Iterator[None]:
    """Readers of /stream.mjpg that take one kilobyte and then nothing."""
    with ExitStack() as clients:
        for _ in range(number):
            client = clients.enter_context(connect(server, receive_buffer=4096))
            client.sendall(request(path="/stream.mjpg"))
            client.recv(1000)
        yield


def connect_and_leave(server: Listens, number: int) -> None:
    """Open pages and leave them at once, some of them in the middle of the handshake."""
    for index in range(number):
        with suppress(ConnectionError), connect(server) as client:
            client.sendall(request(path="/live", headers=UPGRADE)[: None if index % 2 else 40])
            if index % 4 == 1:
                client.recv(20)
