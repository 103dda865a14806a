from __future__ import annotations

import threading

import pytest

from edgeseg_runtime.events import Event, Events


def test_every_listener_gets_what_is_published_until_it_leaves() -> None:
    events, first, second = Events(), list[Event](), list[Event]()
    events.subscribe(first.append)
    leave = events.subscribe(second.append)
    events.publish("source.state", "door", state="live")
    leave()
    leave()  # leaving twice is no fault
    events.publish("source.state", "door", state="stalled")
    assert [event.data["state"] for event in first] == ["live", "stalled"]
    assert [event.data["state"] for event in second] == ["live"]
    assert first[0].as_dict() == {"kind": "source.state", "source": "door", "at": first[0].at, "state": "live"}


def test_a_listener_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    events, seen = Events(), list[Event]()

    def fail(_event: Event) -> None:
        raise RuntimeError("no disk")

    events.subscribe(fail)
    events.subscribe(seen.append)
    events.publish("record.started")
    assert [event.kind for event in seen] == ["record.started"]
    assert "record.started" in caplog.text and "no disk" in caplog.text


def test_subscribing_from_many_threads_loses_nobody() -> None:
    events, seen = Events(), list[Event]()
    threads = [threading.Thread(target=events.subscribe, args=(seen.append,)) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events.publish("tick")
    assert len(seen) == 32
