from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.reorder import ReorderBuffer


def drain(buffer: ReorderBuffer[int]) -> list[int]:
    out: list[int] = []
    while (ready := buffer.take()) is not None:
        out += ready
    return out


@given(st.permutations(range(12)))
def test_any_order_comes_out_in_order(tickets: list[int]) -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity=12, workers=1)
    for ticket in tickets:
        assert buffer.put(ticket, 100 + ticket)
    buffer.worker_done()
    assert drain(buffer) == [100 + ticket for ticket in range(12)]


@pytest.mark.parametrize(("workers", "capacity"), [(1, 1), (2, 2), (4, 4), (3, 9)])
def test_several_workers_in_any_order_come_out_in_order(workers: int, capacity: int) -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity, workers)
    lock, tickets = threading.Lock(), iter(range(300))

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while True:
            with lock:
                ticket = next(tickets, None)
            if ticket is None:
                return buffer.worker_done()
            for _ in range(chance.randrange(2000)):  # some take longer than others
                pass
            buffer.put(ticket, ticket)

    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(workers)]
    for thread in threads:
        thread.start()
    assert drain(buffer) == list(range(300))
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_worker_that_runs_ahead_waits_until_the_reader_comes_back() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity=2, workers=1)
    put: list[int] = []

    def work() -> None:
        for ticket in range(4):
            buffer.put(ticket, ticket)
            put.append(ticket)
        buffer.worker_done()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    taken: list[int] = []
    while len(taken) < 2:
        taken += buffer.take() or []
        assert len(put) <= len(taken) + 2
    assert taken + drain(buffer) == [0, 1, 2, 3]


def test_a_full_buffer_blocks_its_worker_and_closing_sends_it_away() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity=1, workers=1)
    assert buffer.put(0, 0)
    answers: list[bool] = []
    worker = threading.Thread(target=lambda: answers.append(buffer.put(1, 1)), daemon=True)
    worker.start()
    worker.join(0.05)
    assert worker.is_alive()
    buffer.close()
    worker.join(10)
    assert answers == [False]


def test_without_items_taking_comes_back_empty_handed_after_the_timeout() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity=2, workers=1)
    buffer.put(1, 1)
    assert buffer.take(timeout=0.01) == []


def test_what_a_worker_failed_with_is_raised() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity=2, workers=2)
    buffer.put(1, 1)
    buffer.worker_done(ZeroDivisionError("lane"))
    with pytest.raises(ZeroDivisionError, match="lane"):
        buffer.take()


def test_the_end_needs_every_worker() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity=2, workers=2)
    buffer.worker_done()
    assert buffer.take(timeout=0.01) == []
    buffer.worker_done()
    assert buffer.take() is None


def test_what_is_ready_is_the_next_in_order_until_it_is_taken() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity=3, workers=1)
    assert not buffer.ready
    buffer.put(1, 1)
    assert not buffer.ready
    buffer.put(0, 0)
    assert buffer.ready
    assert buffer.take() == [0, 1] and not buffer.ready


def test_waiting_for_workers_takes_all_of_them_or_a_failed_one() -> None:
    buffer: ReorderBuffer[int] = ReorderBuffer(capacity=2, workers=2)
    buffer.put(0, 0)
    buffer.worker_done()
    assert not buffer.wait_for_workers(timeout=0.01)
    last = threading.Timer(0.05, buffer.worker_done)
    last.start()
    assert buffer.wait_for_workers(timeout=10)
    assert buffer.take() == [0]  # what was put before can still be taken
    buffer.worker_done(ZeroDivisionError("lane"))
    with pytest.raises(ZeroDivisionError, match="lane"):
        buffer.wait_for_workers()
