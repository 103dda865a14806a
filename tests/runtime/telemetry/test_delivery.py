from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.telemetry.backoff import Backoff
from edgeseg_runtime.telemetry.delivery import Delivery, DeliveryError
from edgeseg_runtime.telemetry.disk_spool import DiskSpool
from edgeseg_runtime.telemetry.spool import MemorySpool


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


class Place:
    """A receiver that can be away, take only a part, or refuse for good."""

    title = "place"

    def __init__(self) -> None:
        self.away, self.most, self.refused, self.closed = False, 1000, 0, False
        self.got: list[int] = []
        self.attempts: list[float] = []

    def tend(self) -> None:
        if self.away:
            self.attempts.append(time.monotonic())
            raise DeliveryError("place cannot be reached")

    def send(self, records: list[bytes]) -> int:
        for record in records[: self.most]:
            number = json.loads(record).get("number")
            if number is not None and number < 0:
                self.refused += 1
            elif number is not None:
                self.got.append(number)
        return min(len(records), self.most)

    def close(self) -> None:
        self.closed = True


def quick() -> Backoff:
    return Backoff(0.01, 0.05)


def test_events_arrive_in_order_also_in_parts() -> None:
    place, events = Place(), Events()
    place.most = 3
    delivery = Delivery("hook", place, MemorySpool(), tend_every=0.02, backoff=quick())
    events.subscribe(delivery)
    for number in range(200):
        events.publish("tick", number=number)
    wait_until(lambda: len(place.got) == 200)
    delivery.close()
    delivery.close()
    assert place.got == list(range(200)) and place.closed
    status = delivery.status()
    assert (status.name, status.written, status.dropped, status.error) == ("hook", 200, {}, None)


def test_what_comes_while_the_place_is_away_arrives_later_and_is_announced_once() -> None:
    place, events, seen = Place(), Events(), list[Event]()
    place.away = True
    delivery = Delivery("hook", place, MemorySpool(), events=events, tend_every=0.02, backoff=quick())
    events.subscribe(delivery)
    events.subscribe(seen.append)
    for number in range(20):
        events.publish("tick", number=number)
    wait_until(lambda: len(place.attempts) > 5)
    assert place.got == []
    assert delivery.status().error == "place cannot be reached"
    place.away = False
    wait_until(lambda: len(place.got) == 20)
    wait_until(lambda: delivery.status().error is None)
    delivery.close()
    told = [(event.kind, event.data) for event in seen if event.kind.startswith("delivery.")]
    assert told[0] == ("delivery.failed", {"output": "hook", "error": "place cannot be reached"})
    assert [kind for kind, _ in told] == ["delivery.failed", "delivery.restored"]
    assert place.got == list(range(20))


def test_a_place_that_stays_away_costs_bounded_room_and_the_newest_are_kept() -> None:
    place = Place()
    place.away = True
    delivery = Delivery("hook", place, MemorySpool(max_records=10), tend_every=0.02, backoff=quick())
    for number in range(100):
        delivery(Event("tick", data={"number": number}))
    wait_until(lambda: delivery.status().dropped == {"spool": 90})
    assert delivery.waiting == 10
    place.away = False
    wait_until(lambda: place.got == list(range(90, 100)))
    delivery.close()
    assert delivery.status().written == 10


def test_events_refused_for_good_are_counted_and_hold_up_nothing() -> None:
    place = Place()
    delivery = Delivery("hook", place, MemorySpool(), tend_every=0.02)
    for number in (1, -1, 2):
        delivery(Event("tick", data={"number": number}))
    wait_until(lambda: place.got == [1, 2])
    delivery.close()
    assert delivery.status().written == 2 and delivery.status().dropped == {"refused": 1}


def test_a_disk_spool_carries_events_over_a_restart(tmp_path: Path) -> None:
    away = Place()
    away.away = True
    delivery = Delivery("hook", away, DiskSpool(tmp_path), tend_every=0.02, backoff=quick())
    for number in range(30):
        delivery(Event("tick", data={"number": number}))
    delivery.close(30)
    place = Place()
    again = Delivery("hook", place, DiskSpool(tmp_path), tend_every=0.02)
    wait_until(lambda: place.got == list(range(30)))
    again.close(30)
    # and with a spool in memory they are gone
    lossy, nothing = Delivery("hook", away, MemorySpool(), tend_every=0.02, backoff=quick()), Place()
    lossy(Event("tick", data={"number": 1}))
    lossy.close(30)
    after = Delivery("hook", nothing, MemorySpool(), tend_every=0.02)
    after.close(30)
    assert nothing.got == []


def test_the_publisher_never_waits_for_a_place_that_hangs() -> None:
    place, over, events = Place(), threading.Event(), Events()

    def hang(records: list[bytes]) -> int:
        over.wait(60)
        return len(records)

    place.send = hang  # type: ignore[method-assign]
    delivery = Delivery("hook", place, MemorySpool(), tend_every=0.02)
    events.subscribe(delivery)

    def publish() -> None:
        for number in range(3000):
            events.publish("tick", number=number)

    publisher = threading.Thread(target=publish)
    publisher.start()
    publisher.join(30)
    assert not publisher.is_alive()
    started = time.monotonic()
    delivery.close(0.1)
    assert time.monotonic() - started < 10
    over.set()
    delivery.close(30)
    assert delivery.status().dropped["overrun"] >= 1000  # what the waiting room did not hold, and said so


def test_waits_double_up_to_a_bound_with_chance() -> None:
    assert [Backoff(1, 10, lambda: 1.0).failed()] == [1.0]
    backoff = Backoff(1, 10, lambda: 1.0)
    assert [backoff.failed() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.succeeded()
    assert backoff.failed() == 1
    low = Backoff(1, 10, lambda: 0.0)
    assert [low.failed() for _ in range(3)] == [0.5, 1, 2]
    assert [0.5 <= Backoff(1, 10).failed() <= 1 for _ in range(100)] == [True] * 100
    endless = Backoff(1, 10)
    assert max(endless.failed() for _ in range(5000)) <= 10  # and no overflow


def test_attempts_become_rarer() -> None:
    place = Place()
    place.away = True
    delivery = Delivery("hook", place, MemorySpool(), tend_every=0.01, backoff=Backoff(0.05, 0.4, lambda: 1.0))
    wait_until(lambda: len(place.attempts) >= 5)
    delivery.close(30)
    gaps = [later - earlier for earlier, later in zip(place.attempts, place.attempts[1:], strict=False)]
    for gap, least in zip(gaps, (0.05, 0.1, 0.2, 0.4), strict=False):
        assert gap >= least


@pytest.mark.parametrize("error", [OSError("disk"), ValueError("odd")])
def test_a_broken_event_source_is_not_our_business(error: Exception) -> None:
    """What cannot be told is told as text; the thread goes on."""
    place = Place()
    delivery = Delivery("hook", place, MemorySpool(), tend_every=0.02)
    delivery(Event("odd", data={"error": error}))
    delivery(Event("tick", data={"number": 1}))
    wait_until(lambda: place.got == [1])
    delivery.close()
