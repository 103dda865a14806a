"""Viewers of a stream, as a process of their own: one who means well, or a crowd that does not.

`python -m edgeseg_bench.viewer_crowd healthy PORT SECONDS BEGAN FPS` prints the ages of the pictures it was shown, in
seconds, as a JSON list. `… hostile PORT SECONDS` opens pages that read 10 KB a second, holds sockets open that say
nothing, and connects and leaves, time and again.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from contextlib import suppress
from time import monotonic

from edgeseg_bench.paced_camera import age_of

SLOW_PAGES, IDLE, CONNECTS = 4, 50, 100
SLOW_BYTES = 10_000
"""A second."""
CAMERA = "bench"

_OPENING = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def healthy(port: int, seconds: float, began: float, fps: float) -> list[float]:
    """Look for a while as a page does: each picture is acknowledged at once. Return their ages."""
    import aiohttp
    import cv2
    import numpy as np

    ages, end = [], monotonic() + seconds
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{port}/live", max_msg_size=0) as page,
    ):
        await page.send_json({"type": "watch", "camera": CAMERA})
        while monotonic() < end:
            message = await page.receive(20)
            now = monotonic()
            if message.type is aiohttp.WSMsgType.TEXT:
                header = json.loads(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                header, jpeg = unpack(message.data)
                image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
                assert image is not None
                ages.append(age_of(image, now, began, fps))  # type: ignore[arg-type]
            else:
                raise ConnectionError(f"the viewer hung up: {message.type.name} {page.close_code}")
            await page.send_json({"type": "ack", "id": header["id"]})
    return ages


async def hostile(port: int, seconds: float) -> None:
    """Do what a viewer must endure, for a while."""
    tasks = [asyncio.ensure_future(slow_page(port)) for _ in range(SLOW_PAGES)]
    tasks += [asyncio.ensure_future(idle(port)) for _ in range(IDLE)]
    tasks.append(asyncio.ensure_future(rush(port, seconds / CONNECTS)))
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception) and not isinstance(outcome, (OSError, EOFError)):
            raise outcome


async def slow_page(port: int) -> None:
    """Read each message at `SLOW_BYTES` a second, and acknowledge it in the end."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader, writer = await asyncio.open_connection(sock=client, limit=2048)
        writer.write(_OPENING.format(path="/live").encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_masked(json.dumps({"type": "watch", "camera": CAMERA}).encode()))
        while True:
            kind, data = await _message(reader)
            header = unpack(data)[0] if kind == 2 else json.loads(data)
            writer.write(_masked(json.dumps({"type": "ack", "id": header["id"]}).encode()))


async def idle(port: int) -> None:
    """Connect and say nothing; again when that is ended."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await reader.read()
            writer.close()


async def rush(port: int, pause: float) -> None:
    """Ask for a page and leave, every second time in the middle of the question."""
    number = 0
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_OPENING.format(path="/live").encode()[: None if number % 2 else 40])
            writer.close()
        number += 1
        await asyncio.sleep(pause)


def unpack(data: bytes) -> tuple[dict[str, object], bytes]:
    """Return the header and the JPEG of a picture's message."""
    (length,) = struct.unpack("<I", data[:4])
    header = json.loads(data[4 : 4 + length])
    return header, data[4 + length : 4 + length + header["jpeg_bytes"]]


async def _message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the kind and the bytes of a WebSocket message, taking its time."""
    first, length = await reader.readexactly(2)
    if length in (126, 127):
        size = 2 if length == 126 else 8
        length = int.from_bytes(await reader.readexactly(size), "big")
    data = b""
    while len(data) < length:
        part = await reader.read(min(1000, length - len(data)))
        if not part:
            raise EOFError
        data += part
        await asyncio.sleep(len(part) / SLOW_BYTES)
    return first & 15, data


def _masked(text: bytes) -> bytes:
    """Return a client's WebSocket frame of a short text, with a mask of zeros."""
    if len(text) > 125:
        raise ValueError(f"a text of {len(text)} bytes; at most 125 fit")
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


if __name__ == "__main__":
    what, given = sys.argv[1], sys.argv[2:]
    if what == "healthy":
        print(json.dumps(asyncio.run(healthy(int(given[0]), *map(float, given[1:])))))
    else:
        asyncio.run(hostile(int(given[0]), float(given[1])))
