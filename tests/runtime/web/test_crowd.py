"""Slow viewers, many connects and silent sockets cost neither the stream nor the other viewers anything."""

from __future__ import annotations

import asyncio
import socket
import statistics
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Kind
from tests.runtime.web.clients import (
    UPGRADE,
    Listens,
    Message,
    PageClient,
    Producer,
    connect,
    exchange,
    request,
    shot,
    status,
)
from tests.runtime.web.crowd import NaiveQueue, SlowPage, connect_and_leave, slow_stream_readers

if TYPE_CHECKING:
    from tests.runtime.web.conftest import Serving


@pytest.fixture
def noise() -> Image:
    """A picture whose JPEG is large: about a third of a megabyte."""
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


async def watch(server: Listens, seconds: float) -> list[Message]:
    """Look at the pictures for a while, as a healthy page does."""
    messages = []
    async with PageClient(server) as page:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            messages.append(await page.frame())
    return messages


def test_a_crowd_costs_neither_the_stream_nor_a_healthy_viewer_anything(
    serving: Serving, colour_contract: Contract, noise: Image
) -> None:
    server = serving()
    with ExitStack() as crowd, Producer(server, colour_contract, noise) as producer:
        while not server.hub.cameras():
            time.sleep(0.01)
        for _ in range(4):
            crowd.callback(SlowPage(server, lambda: producer.written).close)
        crowd.enter_context(slow_stream_readers(server, 4))
        for _ in range(50):
            crowd.enter_context(connect(server))
        rush = threading.Thread(target=connect_and_leave, args=(server, 100), daemon=True)
        rush.start()
        seen = asyncio.run(watch(server, 3.0))
        rush.join(30)
        written = producer.written
    ages = [message.header["picture_age_ms"] for message in seen]
    frames = [message.header["frame"] for message in seen]
    assert len(frames) >= 20 and frames == sorted(set(frames))
    # eight slow ones would need minutes for one picture each: a viewer that had to wait for them would have got none
    assert statistics.median(ages) < 500
    assert producer.longest < 1.0
    # one encode a frame for all pages, one for all readers of the stream, and a slow reader asks for almost none
    assert server.encoder.counts[Kind.VIEW] <= written
    assert server.encoder.counts[Kind.STREAM] <= 40


def test_naively_a_slow_reader_stops_the_stream(noise: Image) -> None:
    """The negative control: a stream that sends to its viewers itself waits for the slowest of them."""
    near, far = socket.socketpair()
    frames = 0

    def produce() -> None:
        nonlocal frames
        with suppress(OSError):
            while True:
                near.sendall(noise.tobytes())
                frames += 1

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    time.sleep(1.0)
    assert frames <= 1
    for end in (near, far):
        end.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    for end in (near, far):
        end.close()


def test_what_a_slow_viewer_sees_does_not_grow_older(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(state_seconds=1000.0))
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)  # a JPEG of about 2 KB
    with Producer(server, colour_contract, picture) as producer:
        page = SlowPage(server, lambda: producer.written)
        naive = NaiveQueue(lambda: producer.written, size=2500)
        sent = 0
        end = time.monotonic() + 4.0
        while time.monotonic() < end:
            while sent < producer.written:
                naive.put(sent)
                sent += 1
            time.sleep(0.01)
        page.close()
        naive.close()
    assert len(page.lags) >= 5
    assert statistics.median(page.lags[-3:]) <= 25
    # the control: without acknowledgements the same line shows what was new seconds ago, and more so every second
    assert naive.lags[-1] > 50
    assert naive.lags[-1] > 2 * statistics.median(page.lags[-3:])


def test_a_reader_that_takes_nothing_is_let_go(serving: Serving, colour_contract: Contract, noise: Image) -> None:
    server = serving(options=WebOptions(ack_seconds=0.5, clients=1, clients_per_address=1))
    with Producer(server, colour_contract, noise):
        while not server.hub.cameras():
            time.sleep(0.01)
        with slow_stream_readers(server, 1):
            end = time.monotonic() + 20
            while status(exchange(server, request(path="/live", headers=UPGRADE), 0.2)) != 101:
                assert time.monotonic() < end, "its place never became free"


def closed_by_server(client: socket.socket, seconds: float) -> bool:
    client.settimeout(seconds)
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_silent_sockets_are_closed_in_time(serving: Serving) -> None:
    hasty, patient = (serving(options=WebOptions(request_seconds=seconds)) for seconds in (0.3, 60.0))
    with ExitStack() as open_ones:
        silent = [open_ones.enter_context(connect(hasty)) for _ in range(50)]
        kept = open_ones.enter_context(connect(patient))
        assert all(closed_by_server(client, 10) for client in silent)
        assert not closed_by_server(kept, 0.5)  # the control: it is the limit that closed them
        assert status(exchange(hasty, request())) == 200


def test_silent_sockets_make_room_for_those_that_ask(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(sockets=10, request_seconds=60.0))

    async def scenario() -> None:
        with Producer(server, colour_contract), ExitStack() as open_ones:
            async with PageClient(server) as page:
                silent = [open_ones.enter_context(connect(server)) for _ in range(50)]
                for _ in range(5):
                    await page.frame()  # who is served is not sent away
                assert await asyncio.to_thread(lambda: status(exchange(server, request()))) == 200
                gone = await asyncio.to_thread(lambda: sum(closed_by_server(client, 0.05) for client in silent))
                assert 41 <= gone < 50  # the page has one of ten; the request was served meanwhile
                assert not closed_by_server(silent[-1], 0.05)

    asyncio.run(scenario())


def test_nothing_is_encoded_for_those_who_only_connect(serving: Serving, colour_contract: Contract) -> None:
    server = serving()
    with Producer(server, colour_contract) as producer, ExitStack() as open_ones:
        for _ in range(50):
            open_ones.enter_context(connect(server))
        connect_and_leave(server, 100)
        while producer.written < 30:
            time.sleep(0.01)
        assert sum(server.encoder.counts.values()) == 0
        assert len(asyncio.run(watch(server, 0.3))) > 0  # the control
        assert server.encoder.counts[Kind.VIEW] > 0


def test_a_hundred_pages_share_each_picture(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(clients=100, clients_per_address=100))
    hub_sink = server.hub

    async def scenario() -> None:
        async def one() -> int:
            async with PageClient(server) as page:
                return int((await page.frame()).header["frame"])

        pages = [asyncio.ensure_future(one()) for _ in range(100)]
        await asyncio.sleep(0.5)
        hub_sink.put(shot(colour_contract, 8))
        assert set(await asyncio.gather(*pages)) == {8}
        assert server.encoder.counts[Kind.VIEW] == 1

    asyncio.run(scenario())
