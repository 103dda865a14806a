from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.web.encode import Encoder
from edgeseg_runtime.web.encoder_thread import EncoderThread
from edgeseg_runtime.web.hub import FrameHub
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Key, Kind, Packet, Take
from tests.runtime.web.clients import shot

VIEW = Key("", Kind.VIEW)


class Wish:
    """One who waits for a picture."""

    def __init__(self, hub: FrameHub, key: Key = VIEW, after: int = 0) -> None:
        self.packet: Packet | None = None
        self._come = threading.Event()
        self.give_up = hub.wait(key, after, self._answer)

    def _answer(self, packet: Packet) -> None:
        assert self.packet is None, "answered twice"
        self.packet = packet
        self._come.set()

    def come(self, seconds: float = 10.0) -> bool:
        return self._come.wait(seconds)


@pytest.fixture
def hub() -> Iterator[FrameHub]:
    made = FrameHub()
    yield made
    made.close()


@pytest.fixture
def encoder(hub: FrameHub) -> Encoder:
    made = Encoder(WebOptions())
    EncoderThread(hub, made).start()
    return made


def total(encoder: Encoder) -> int:
    return sum(encoder.counts.values())


def test_nothing_is_encoded_when_nobody_looks(hub: FrameHub, encoder: Encoder, colour_contract: Contract) -> None:
    for index in range(100):
        hub.put(shot(colour_contract, index))
    time.sleep(0.2)
    assert total(encoder) == 0
    assert Wish(hub).come()  # and is as soon as somebody does
    assert total(encoder) == 1


def test_all_who_wait_get_one_and_the_same_picture(hub: FrameHub, encoder: Encoder, colour_contract: Contract) -> None:
    wishes = [Wish(hub) for _ in range(20)]
    hub.put(shot(colour_contract, 7))
    assert all(wish.come() for wish in wishes)
    assert len({id(wish.packet) for wish in wishes}) == 1
    late = Wish(hub)
    assert late.come() and late.packet is wishes[0].packet
    assert encoder.counts == {Kind.VIEW: 1, Kind.STREAM: 0, Kind.STILL: 0}


def test_only_the_newest_is_encoded(hub: FrameHub, encoder: Encoder, colour_contract: Contract) -> None:
    for index in range(10):
        hub.put(shot(colour_contract, index))
    wish = Wish(hub)
    assert wish.come() and wish.packet is not None
    assert (wish.packet.frame, wish.packet.number) == (9, 10)
    later = Wish(hub, after=10)
    assert not later.come(0.1)
    hub.put(shot(colour_contract, 10))
    assert later.come() and later.packet is not None and later.packet.frame == 10
    assert total(encoder) == 2


def test_who_gives_up_causes_no_work(hub: FrameHub, encoder: Encoder, colour_contract: Contract) -> None:
    wish = Wish(hub)
    wish.give_up()
    wish.give_up()
    hub.put(shot(colour_contract))
    assert not wish.come(0.1)
    assert total(encoder) == 0


def test_cameras_are_kept_apart(hub: FrameHub, encoder: Encoder, colour_contract: Contract) -> None:
    door, yard = (Wish(hub, Key(name, Kind.VIEW)) for name in ("door", "yard"))
    hub.put(shot(colour_contract, 4, camera="yard"))
    assert yard.come() and not door.come(0.1)
    hub.put(shot(colour_contract, 8, camera="door"))
    assert door.come()
    assert [wish.packet and (wish.packet.camera, wish.packet.frame) for wish in (door, yard)] == [
        ("door", 8),
        ("yard", 4),
    ]
    assert hub.cameras() == ("yard", "door")


def test_a_picture_that_cannot_be_encoded_ends_nothing(hub: FrameHub, colour_contract: Contract) -> None:
    calls: list[int] = []
    good = Encoder(WebOptions())

    def fail_first(take: Take, kind: Kind) -> Packet:
        calls.append(take.number)
        if take.number == 1:
            raise OutputError("a picture of no size")
        return good(take, kind)

    thread = EncoderThread(hub, fail_first)
    thread.start()
    wish = Wish(hub)
    hub.put(shot(colour_contract, 0))
    assert not wish.come(0.2)
    assert calls == [1]  # not tried again and again
    assert thread.trouble() == "a picture of no size"
    assert thread.trouble() is None
    hub.put(shot(colour_contract, 1))
    assert wish.come() and wish.packet is not None and wish.packet.frame == 1


def test_closing_ends_the_encoder_and_keeps_no_picture(colour_contract: Contract) -> None:
    hub = FrameHub()
    thread = EncoderThread(hub, Encoder(WebOptions()))
    thread.start()
    hub.put(shot(colour_contract))
    hub.close()
    hub.put(shot(colour_contract, 1))
    thread.join(10)
    assert hub.newest("") is None
    assert hub.cameras() == ()
