from __future__ import annotations

import time
from threading import Thread

import pytest

from edgeseg_runtime.errors import SourceError
from edgeseg_runtime.feed import ENOUGH, LARGEST_BURST, Feed
from edgeseg_runtime.sources.base import Frame
from tests.runtime.numbers import Numbers


def indices(taken: tuple[int, list[Frame]] | None) -> tuple[int, list[int]] | None:
    return None if taken is None else (taken[0], [frame.index for frame in taken[1]])


def test_bursts_hold_every_frame_once_in_order_under_tickets_in_order() -> None:
    feed = Feed(Numbers(6), None)
    assert [indices(feed.take(most)) for most in (1, 3, 4, 4)] == [(0, [0]), (1, [1, 2, 3]), (2, [4, 5]), None]
    assert feed.captured == 6


def test_the_limit_counts_frames() -> None:
    feed = Feed(Numbers(20), 5)
    assert [indices(feed.take(3)) for _ in range(3)] == [(0, [0, 1, 2]), (1, [3, 4]), None]
    assert feed.captured == 5


def test_a_worker_with_enough_lets_one_read_that_waits_to() -> None:
    others: list[tuple[int, list[int]] | None] = []
    other = Thread(target=lambda: others.append(indices(feed.take(3))))

    class Watched(Numbers):
        def read(self) -> Frame | None:
            if self._index == 0:
                other.start()
                while feed._waiting == 0:
                    time.sleep(1e-3)
            return super().read()

    feed = Feed(Watched(90), None, workers=2)
    assert indices(feed.take(16)) == (0, list(range(ENOUGH)))
    other.join()
    assert others == [(1, list(range(ENOUGH, ENOUGH + 3)))]
    assert indices(feed.take(16)) == (2, list(range(ENOUGH + 3, ENOUGH + 19)))  # nobody waits


@pytest.mark.parametrize(("length", "limit"), [(20, None), (50, 20)])
def test_no_worker_takes_more_than_its_share_of_what_is_left(length: int, limit: int | None) -> None:
    feed = Feed(Numbers(length), limit, workers=2)
    assert [len(taken[1]) for taken in iter(lambda: feed.take(8), None)] == [8, 6, 3, 2, 1]


def test_frames_beyond_the_declared_end_come_one_by_one() -> None:
    class Estimated(Numbers):
        def read(self) -> Frame | None:
            self.length = 9
            frame = super().read()
            self.length = 4
            return frame

    feed = Feed(Estimated(4), None)
    assert [len(taken[1]) for taken in iter(lambda: feed.take(8), None)] == [4, 1, 1, 1, 1, 1]


def test_a_burst_of_large_frames_is_short() -> None:
    height = LARGEST_BURST // (3 * 1024) // 2 + 1  # a little more than half
    feed = Feed(Numbers(4, size=(height, 1024)), None)
    assert indices(feed.take(8)) == (0, [0, 1])
    larger = Feed(Numbers(2, size=(3 * height, 1024)), None)
    assert indices(larger.take(8)) == (0, [0])


def test_frames_before_a_fault_are_given_and_the_fault_is_kept() -> None:
    class Faulty(Numbers):
        def read(self) -> Frame | None:
            if self._index == 2:
                raise SourceError("damaged")
            return super().read()

    feed = Feed(Faulty(9), None)
    assert indices(feed.take(8)) == (0, [0, 1])
    assert feed.take(8) is None
    with pytest.raises(SourceError, match="damaged"):
        raise feed.error or AssertionError


def test_a_stop_ends_a_burst_at_the_frame_that_is_read() -> None:
    class Stopping(Numbers):
        def read(self) -> Frame | None:
            if self._index == 2:
                feed.stop()
            return super().read()

    feed = Feed(Stopping(9), None)
    assert indices(feed.take(8)) == (0, [0, 1, 2])
    assert feed.take(8) is None
