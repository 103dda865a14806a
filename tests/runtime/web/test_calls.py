from __future__ import annotations

import asyncio
import threading
import time

import pytest

from edgeseg_runtime.events import Events
from edgeseg_runtime.web.calls import Caller, CallerBusy
from edgeseg_runtime.web.event_log import EventLog
from edgeseg_runtime.web.refusals import Refused
from edgeseg_runtime.web.seats import Seats


def test_calls_come_back_with_what_they_return_and_raise() -> None:
    caller = Caller("test")
    caller.start()

    async def scenario() -> None:
        assert await caller.call(lambda: threading.current_thread().name, 10) == "edgeseg-web-test"
        with pytest.raises(ZeroDivisionError):
            await caller.call(lambda: 1 // 0, 10)
        assert await caller.call(lambda: 5, 10) == 5  # and goes on

    asyncio.run(scenario())
    caller.close(10)


def test_a_call_that_hangs_holds_up_neither_the_server_nor_the_end() -> None:
    caller, free, left_out = Caller("test", waiting=1), threading.Event(), list[int]()
    caller.start()

    async def scenario() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await caller.call(free.wait, 0.1)
        with pytest.raises(asyncio.TimeoutError):
            await caller.call(lambda: left_out.append(1), 0.1)  # waits behind it
        with pytest.raises(CallerBusy):
            await caller.call(lambda: left_out.append(2), 0.1)

    asyncio.run(scenario())
    started = time.monotonic()
    caller.close(0.1)
    assert time.monotonic() - started < 5
    free.set()
    caller.close(10)
    assert left_out == []  # nobody waited for it any more


def test_events_are_numbered_and_the_oldest_go() -> None:
    log, events = EventLog(kept=3), Events()
    events.subscribe(log)
    for number in range(5):
        events.publish("zone.enter", "door", share=number)
    assert [event["number"] for event in log.after(0)] == [3, 4, 5]
    (last,) = log.after(4)
    assert (last["kind"], last["source"], last["share"]) == ("zone.enter", "door", 4)
    assert log.after(5) == []


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_an_event_that_is_no_json_is_not_kept(value: object) -> None:
    log = EventLog()
    with pytest.raises((ValueError, TypeError)):
        from edgeseg_runtime.events import Event

        log(Event("zone.enter", data={"share": value}))
    assert log.after(0) == []


def test_places_are_limited_in_all_and_for_each_address() -> None:
    seats = Seats(3, 2)
    with seats.seat("a"), seats.seat("a"):
        with pytest.raises(Refused) as refused, seats.seat("a"):
            pass
        assert refused.value.status == 429
        with seats.seat("b"):
            assert seats.taken == 3
            with pytest.raises(Refused) as refused, seats.seat("c"):
                pass
            assert refused.value.status == 503
    assert seats.taken == 0
    with seats.seat("a"):
        assert seats.taken == 1
