"""Wait for a picture without holding up the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from edgeseg_runtime.web.hub import FrameHub
from edgeseg_runtime.web.packets import Key, Packet


async def next_packet(hub: FrameHub, key: Key, after: int) -> Packet:
    """Return a packet of a take above `after` as soon as there is one. Cancelling it withdraws the wish."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Packet] = loop.create_future()

    def answer(packet: Packet) -> None:
        with suppress(RuntimeError):  # the server's loop has ended meanwhile
            loop.call_soon_threadsafe(_settle, future, packet)

    give_up = hub.wait(key, after, answer)
    try:
        return await future
    finally:
        give_up()


def _settle(future: asyncio.Future[Packet], packet: Packet) -> None:
    if not future.done():
        future.set_result(packet)
