from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.slot import Slot


@given(st.lists(st.booleans(), max_size=60))
def test_what_is_put_is_taken_dropped_or_waiting(puts: list[bool]) -> None:
    slot: Slot[int] = Slot()
    waiting: int | None = None  # the whole model of a slot
    taken = dropped = put = 0
    for number, is_put in enumerate(puts):
        if is_put:
            dropped += waiting is not None
            put += 1
            waiting = number
            assert slot.put(number)
        elif waiting is not None:
            assert slot.take() == waiting
            taken += 1
            waiting = None
    assert (slot.put_count, slot.dropped) == (put, dropped)
    assert slot.put_count == taken + slot.dropped + (waiting is not None)


def test_the_newest_wins() -> None:
    slot: Slot[str] = Slot()
    for item in "abc":
        slot.put(item)
    assert slot.take() == "c"
    assert slot.dropped == 2


def test_closed_with_discard_the_waiting_item_is_dropped_and_counted() -> None:
    slot: Slot[int] = Slot()
    slot.put(1)
    slot.close(discard=True)
    assert slot.take() is None
    assert slot.dropped == 1


def test_closed_without_discard_the_waiting_item_can_still_be_taken() -> None:
    slot: Slot[int] = Slot()
    slot.put(1)
    slot.close(discard=False)
    assert slot.take() == 1
    assert slot.take() is None
    assert slot.dropped == 0


def test_after_closing_nothing_is_accepted_or_counted() -> None:
    slot: Slot[int] = Slot()
    slot.close(discard=True)
    assert not slot.put(1)
    assert slot.put_count == slot.dropped == 0


def test_a_waiting_taker_is_woken_by_closing() -> None:
    slot: Slot[int] = Slot()
    got: list[int | None] = []
    taker = threading.Thread(target=lambda: got.append(slot.take()), daemon=True)
    taker.start()
    slot.close(discard=True)
    taker.join(10)
    assert got == [None]
