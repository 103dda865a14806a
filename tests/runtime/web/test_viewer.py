from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.events import Events
from edgeseg_runtime.live.status import Status
from edgeseg_runtime.web.controls import Controls
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Kind
from edgeseg_runtime.web.server import WebServer
from edgeseg_runtime.web.sink import WebSink
from tests.runtime.web.clients import UPGRADE, PageClient, Producer, connect, exchange, masked_frame, request, shot

if TYPE_CHECKING:
    from tests.runtime.web.conftest import Serving


def play(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


async def silence(page: PageClient, seconds: float = 0.3) -> None:
    """Assert that nothing comes."""
    try:
        message = await page.receive(seconds)
    except asyncio.TimeoutError:
        return
    raise AssertionError(f"{message.header} came without an acknowledgement of the one before")


def test_one_picture_is_on_its_way_and_the_next_is_the_newest(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(state_seconds=1000.0))
    sink = WebSink(server)

    async def scenario() -> None:
        async with PageClient(server) as page:
            await page.report()
            sink.write(shot(colour_contract, 0), None)
            first = await page.receive()
            assert first.header["frame"] == 0
            for index in range(1, 50):
                sink.write(shot(colour_contract, index), None)
            await silence(page)
            assert server.encoder.counts[Kind.VIEW] == 1
            await page.ack(first)
            second = await page.receive()
            assert second.header["frame"] == 49
            assert server.encoder.counts[Kind.VIEW] == 2
            assert second.header["last_trip"]["id"] == first.header["id"]
            assert second.header["last_trip"]["ms"] >= 300  # the silence

    play(scenario())


def test_the_mask_is_a_layer_of_its_own(serving: Serving, colour_contract: Contract) -> None:
    server = serving()

    async def scenario() -> None:
        async with PageClient(server) as page:
            WebSink(server).write(shot(colour_contract, 2, age=0.5), None)
            message = await page.frame()
            picture = cv2.imdecode(np.frombuffer(message.jpeg, np.uint8), cv2.IMREAD_COLOR)
            np.testing.assert_allclose(np.asarray(picture), 100, atol=2)
            assert message.mask is not None and [message.mask[0, 0], message.mask[0, -1]] == [0, 2]
            header = message.header
            assert header["fresh"] is True and header["area"] == [0.5, 0, 0.5] and header["size"] == [48, 64]
            assert 500 <= header["picture_age_ms"] == header["mask_age_ms"] < 20_000
            assert header["legend"] == [
                {"name": label.name, "color": list(label.color)} for label in colour_contract.labels
            ]

    play(scenario())


def test_a_frame_without_a_mask_says_so(serving: Serving, colour_contract: Contract) -> None:
    server = serving()

    async def scenario() -> None:
        async with PageClient(server) as page:
            WebSink(server).write(shot(colour_contract, masked=False), None)
            message = await page.frame()
            assert message.mask is None and message.header["area"] == []
            assert (message.header["mask_age_ms"], message.header["fresh"]) == (None, False)

    play(scenario())


def test_the_legend_changes_with_the_very_frame_of_a_new_model(serving: Serving, colour_contract: Contract) -> None:
    other = replace(colour_contract, labels=tuple(Label(f"new {i}", (i, i, i)) for i in range(3)))
    server = serving()
    sink = WebSink(server)

    async def scenario() -> None:
        async with PageClient(server) as page:
            legends = []
            for index, contract in enumerate([colour_contract, colour_contract, other, other, colour_contract]):
                sink.write(shot(contract, index), None)
                header = (await page.frame()).header
                assert header["frame"] == index
                legends.append([label["name"] for label in header["legend"]] if "legend" in header else None)
            assert legends == [["red", "green", "blue"], None, ["new 0", "new 1", "new 2"], None, legends[0]]

    play(scenario())


def test_a_page_that_nobody_sees_costs_nothing(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(state_seconds=0.1))

    async def scenario() -> None:
        with Producer(server, colour_contract):
            async with PageClient(server) as page:
                await page.frame()
                await page.watch(None)
                for _ in range(3):
                    await page.report()  # what was under way has come
                before = server.encoder.counts[Kind.VIEW]
                for _ in range(5):
                    await page.report()
                assert server.encoder.counts[Kind.VIEW] == before
                await page.watch("")
                await page.frame()
                assert server.encoder.counts[Kind.VIEW] > before  # the control

    play(scenario())


def test_the_camera_can_be_changed(serving: Serving, colour_contract: Contract) -> None:
    server = serving()
    sink = WebSink(server)

    async def scenario() -> None:
        async with PageClient(server, "door") as page:
            sink.write(shot(colour_contract, 5, camera="yard"), None)
            sink.write(shot(colour_contract, 6, camera="door"), None)
            assert (await page.frame()).header["frame"] == 6
            await page.watch("yard")
            header = (await page.frame()).header
            assert (header["camera"], header["frame"]) == ("yard", 5)
            assert (await page.report()).header["cameras"] == ["yard", "door"]

    play(scenario())


def test_a_page_that_comes_late_is_shown_the_last_picture_with_its_age(
    serving: Serving, colour_contract: Contract
) -> None:
    server = serving()
    WebSink(server).write(shot(colour_contract, 3, age=7.0), None)

    async def scenario() -> None:
        async with PageClient(server) as page:
            assert (await page.frame()).header["picture_age_ms"] >= 7000

    play(scenario())


def test_events_are_told_once_and_controls_as_they_change(serving: Serving) -> None:
    class Recorder:
        on = False

        def recording(self) -> bool:
            return self.on

        def start(self) -> None:
            self.on = True

        def stop(self) -> None:
            self.on = False

    events = Events()
    server = serving(Controls(record=Recorder()), events=events, options=WebOptions(state_seconds=1000.0))
    events.publish("source.state", "door", state="live")

    async def scenario() -> None:
        async with PageClient(server, None) as page, aiohttp.ClientSession() as session:
            header = (await page.report()).header
            assert [event["state"] for event in header["events"]] == ["live"]
            assert header["controls"] == {
                "models": None,
                "record": {"recording": False},
                "snapshot": False,
                "zones": None,
            }
            async with session.post(f"{server.url}api/record", json={"recording": True}) as answer:
                assert answer.status == 200
            events.publish("record.started")
            header = (await page.report()).header  # at once, although nobody would ask for 1000 seconds
            assert header["controls"]["record"] == {"recording": True}
            assert "source.state" not in [event["kind"] for event in header["events"]]

    play(scenario())


def test_pictures_go_on_when_the_stream_does_not_say_how_it_is(
    serving: Serving, colour_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg_runtime.web.board.ASK_SECONDS", 0.1)
    free = threading.Event()

    def hang() -> Status:
        free.wait(30)
        raise RuntimeError("nobody waits for this any more")

    server = serving(status=hang, options=WebOptions(state_seconds=0.1))

    async def scenario() -> None:
        with Producer(server, colour_contract):
            async with PageClient(server) as page:
                assert (await page.report()).header["problem"] == "the stream does not say how it is"
                frames = [(await page.frame()).header["frame"] for _ in range(5)]
                assert frames == sorted(set(frames))

    play(scenario())
    free.set()


def test_a_page_that_acknowledges_nothing_is_let_go(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(ack_seconds=0.5, state_seconds=0.1))

    async def scenario() -> None:
        async with PageClient(server, None) as silent, PageClient(server, None) as good:
            told = await silent.receive()
            assert told.header["type"] == "state"
            for _ in range(10):
                await good.report()
            with pytest.raises(ConnectionError, match=r"1008 .*not acknowledged"):
                await silent.receive()
            await good.report()  # the control: one that does is kept

    play(scenario())


@pytest.mark.parametrize(
    "said",
    [
        "",
        "no json",
        "[]",
        "5",
        '{"type": "ack"}',
        '{"type": "ack", "id": 99}',
        '{"type": "ack", "id": "1"}',
        '{"type": "watch"}',
        '{"type": "watch", "camera": 5}',
        json.dumps({"type": "watch", "camera": "x" * 200}),
        '{"type": "shutdown"}',
        '{"a":' * 150,
        b"bytes",
    ],
)
def test_a_page_that_talks_nonsense_is_let_go(serving: Serving, said: str | bytes) -> None:
    server = serving()

    async def scenario() -> None:
        async with PageClient(server, None) as page:
            await (page.socket.send_str(said) if isinstance(said, str) else page.socket.send_bytes(said))
            with pytest.raises(ConnectionError, match="1008"):
                for _ in range(3):
                    await page.receive()
        async with PageClient(server, None) as page:
            await page.report()

    play(scenario())


def test_a_page_that_talks_too_much_is_let_go(serving: Serving) -> None:
    server = serving()

    async def flood(number: int) -> None:
        async with PageClient(server, None) as page:
            for _ in range(number):
                await page.socket.send_str('{"type": "watch", "camera": null}')
            await page.report()
            await page.report()

    async def pings(number: int) -> None:
        async with PageClient(server, None) as page:
            for _ in range(number):
                await page.socket.ping(b"x" * 100)
            await page.report()
            await page.report()

    for way in (flood, pings):
        with pytest.raises(ConnectionError):
            play(way(3000))
        play(way(50))  # the control


@pytest.mark.parametrize(
    "frame",
    [
        masked_frame(0x1, b"x" * 2000),  # more than a message may have
        masked_frame(0x3, b"x"),  # no such kind
        b"\x81\x05hello",  # not masked
        b"\xf1\x80\0\0\0\0",  # reserved bits
        masked_frame(0x1, b"\xff\xfe"),  # no UTF-8
        masked_frame(0x9, b"x" * 200),  # a ping that is too long
        masked_frame(0x0, b"x"),  # goes on with what was not begun
        b"\x81\xff" + b"\xff" * 12,  # 2⁶⁴ bytes
    ],
)
def test_broken_websocket_frames_end_that_socket_only(serving: Serving, frame: bytes) -> None:
    server = serving()
    answer = exchange(server, request(path="/live", headers=UPGRADE) + frame, timeout=5.0)
    assert answer.startswith(b"HTTP/1.1 101")
    close = answer.rfind(b"\x88")
    assert close > 0 and int.from_bytes(answer[close + 2 : close + 4], "big") in (1002, 1007, 1008, 1009)

    async def scenario() -> None:
        async with PageClient(server, None) as page:
            await page.report()

    play(scenario())


async def find_a_place(server: WebServer) -> None:
    """Try until there is one, which takes until the server has seen the others go."""
    for _ in range(100):
        with suppress(aiohttp.WSServerHandshakeError):
            async with PageClient(server, None) as page:
                await page.report()
                return
        await asyncio.sleep(0.05)
    raise AssertionError("no place became free")


def test_there_are_only_so_many_places(serving: Serving) -> None:
    server = serving(options=WebOptions(clients=3, clients_per_address=2))

    async def scenario() -> None:
        async with PageClient(server, None) as one, PageClient(server, None):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with PageClient(server, None):
                    pass
            assert refused.value.status == 429
            await one.report()
        await find_a_place(server)

    play(scenario())


def test_a_bug_ends_one_page_and_is_logged(
    serving: Serving, colour_contract: Contract, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("in the header")

    server = serving(options=WebOptions(silent_seconds=1.0))
    sink = WebSink(server)
    sink.write(shot(colour_contract), None)

    async def scenario() -> None:
        with monkeypatch.context() as broken:
            broken.setattr("edgeseg_runtime.web.viewer.facts", fail)
            async with PageClient(server) as page:
                with pytest.raises(ConnectionError, match="1011"):
                    await page.frame()
        async with PageClient(server) as page:
            await page.frame()

    play(scenario())
    assert "in the header" in caplog.text
    with monkeypatch.context() as broken:
        broken.setattr("edgeseg_runtime.web.pictures._send", fail)
        answer = exchange(server, request(path="/stream.mjpg"))
    assert answer.count(b"HTTP/1.1") <= 1  # no second answer within the first


def test_pages_are_told_when_the_viewer_ends(serving: Serving) -> None:
    server: WebServer = serving()

    async def scenario() -> None:
        async with PageClient(server, None) as page:
            await page.report()
            await asyncio.to_thread(server.close)
            with pytest.raises(ConnectionError, match="1001"):
                await page.receive()

    play(scenario())


def test_a_page_that_vanishes_frees_its_place(serving: Serving, colour_contract: Contract) -> None:
    server = serving(options=WebOptions(clients=1, clients_per_address=1))
    client = connect(server)
    client.sendall(request(path="/live", headers=UPGRADE))
    assert client.recv(12) == b"HTTP/1.1 101"
    client.close()

    async def scenario() -> None:
        await find_a_place(server)

    play(scenario())
