from __future__ import annotations

import random
import threading
import time

import pytest

from edgeseg_runtime.turns import Over, Turns

pytestmark = pytest.mark.timeout(30)


def test_turns_are_taken_in_order_however_their_holders_come() -> None:
    turns, order, inside = Turns(), list[int](), list[int]()
    tickets = list(range(40))
    random.Random(1).shuffle(tickets)

    def take(ticket: int) -> None:
        with turns.turn(ticket):
            inside.append(ticket)
            time.sleep(0.001)
            order.append(ticket)
            assert inside == order

    workers = [threading.Thread(target=take, args=(ticket,)) for ticket in tickets]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert order == list(range(40))


def test_whoever_waits_or_comes_later_is_sent_away_at_the_end() -> None:
    turns, sent_away = Turns(), list[int]()

    def take(ticket: int) -> None:
        try:
            with turns.turn(ticket):
                raise AssertionError("it was not its turn")
        except Over:
            sent_away.append(ticket)

    waiting = threading.Thread(target=take, args=(1,))
    waiting.start()
    turns.close()
    waiting.join()
    take(0)
    assert sent_away == [1, 0]


def test_a_turn_that_fails_is_not_over() -> None:
    turns = Turns()
    with pytest.raises(KeyError), turns.turn(0):
        raise KeyError("a bug")
    with turns.turn(0):
        pass
    with turns.turn(1):
        pass
