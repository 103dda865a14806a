"""Somebody who looks at the viewer's page all the time, and notes what each picture says of itself."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import cv2
import numpy as np

from edgeseg_runtime.address import Address
from tests.edgeseg.cli.acceptance.command import wait_until
from tests.runtime.web.clients import parse
from tests.servers.scene import Stamp, read


@dataclass(frozen=True)
class Look:
    """One picture that was shown. All times are seconds, moments on the monotonic clock."""

    received_at: float
    stamp: Stamp | None
    """What the picture says; None where it is damaged or black."""
    size: tuple[int, int]
    """(height, width) of the camera's picture."""
    picture_age: float
    """What the program says it was when it was sent."""
    mask_age: float

    @property
    def made_at(self) -> float:
        assert self.stamp is not None
        return self.stamp.made_at

    @property
    def mask_made_at(self) -> float:
        """When the frame was made that the mask was made of."""
        return self.made_at - (self.mask_age - self.picture_age)

    @property
    def age(self) -> float:
        """What it truly was when it had come."""
        return self.received_at - self.made_at

    @property
    def shown_at(self) -> float:
        """By the program's own account of it, which a busy test does not disturb."""
        return min(self.received_at, self.made_at + self.picture_age)


class Looker:
    """A page in a thread of its own. One connection, never made anew."""

    def __init__(self, address: Address, camera: str) -> None:
        self.looks: list[Look] = []
        self.ended: str | None = None
        """Why the connection ended."""
        self._url, self._camera = address.url(), camera
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._look()), daemon=True)
        self._thread.start()

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def wait(self, true: Callable[[Look], bool], what: str = "a picture") -> Look:
        """Wait for a picture of which something is true, from now on or seen already."""
        wait_until(lambda: any(map(true, list(self.looks))) or self.ended is not None, what)
        found = [look for look in list(self.looks) if true(look)]
        assert found, f"{what}: {self.ended}"
        return found[0]

    def since(self, moment: float) -> list[Look]:
        """Return what has come after a moment."""
        return [look for look in list(self.looks) if look.received_at > moment]

    async def _look(self) -> None:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{self._url}live", max_msg_size=0) as socket,
            ):
                await socket.send_json({"type": "watch", "camera": self._camera})
                while not self._over.is_set():
                    await self._next(socket)
        except (aiohttp.ClientError, ConnectionError) as error:
            self.ended = self.ended or repr(error)

    async def _next(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            message = await socket.receive(0.2)
        except (TimeoutError, asyncio.TimeoutError):
            return
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            self.ended = f"{message.type.name} {socket.close_code}"
            raise ConnectionError(self.ended)
        received_at, said = time.monotonic(), parse(message.data)
        await socket.send_json({"type": "ack", "id": said.header["id"]})
        if said.header["type"] == "frame":
            header = said.header
            picture = cv2.imdecode(np.frombuffer(said.jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            height, width = header["size"]
            ages = header["picture_age_ms"] / 1e3, header["mask_age_ms"] / 1e3
            stamp = read(picture)  # type: ignore[arg-type]
            self.looks.append(Look(received_at, stamp, (height, width), *ages))
