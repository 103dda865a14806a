from __future__ import annotations

from threading import Event, Thread

import numpy as np
import pytest

from edgeseg_runtime.capture.inbox import Inbox
from edgeseg_runtime.capture.ring import SLOTS, Ring
from edgeseg_runtime.preprocess import Image

SIZE = (240, 320)


def flat(value: int, size: tuple[int, int] = SIZE) -> Image:
    return np.full((*size, 3), value % 256, np.uint8)


def test_gives_back_what_was_written() -> None:
    ring = Ring.create((3, 5))
    pictures = [np.random.default_rng(seed).integers(0, 256, (3, 5, 3)).astype(np.uint8) for seed in range(10)]
    for number, picture in enumerate(pictures):
        ring.write(number, picture)
        copy = ring.read(number)
        assert copy is not None
        np.testing.assert_array_equal(copy, picture)
        copy[:] = 0  # a copy of its own
        np.testing.assert_array_equal(ring.read(number), picture)


def test_what_has_been_overwritten_or_is_about_to_be_is_not_given() -> None:
    ring = Ring.create((2, 2))
    for number in range(SLOTS):
        ring.write(number, flat(number, (2, 2)))
    assert ring.read(0) is None, "its slot is the next to be written to"
    assert [ring.read(number) is not None for number in range(1, SLOTS)] == [True] * (SLOTS - 1)
    assert ring.read(SLOTS) is None
    assert ring.read(1000) is None


def test_two_views_of_one_memory() -> None:
    ours = Ring.create((4, 4))
    theirs = Ring(ours.memory, (4, 4))
    ours.write(0, flat(7, (4, 4)))
    ours.close()
    np.testing.assert_array_equal(theirs.read(0), flat(7, (4, 4)))


def test_memory_too_small_is_refused() -> None:
    small = Ring.create((4, 4))
    with pytest.raises(ValueError, match="buffer"):
        Ring(small.memory, (400, 400))


def test_no_torn_picture_is_ever_given() -> None:
    """A writer as fast as can be; and, as the negative control, the same reads without the check."""
    ring, over, newest = Ring.create(SIZE), Event(), [0]
    ring.write(0, flat(0))

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            for row in range(0, SIZE[0], 16):  # in pieces, as a preempted writer does
                if row == 0:
                    ring._numbers[number % SLOTS] = -1
                ring._pictures[number % SLOTS, row : row + 16] = number % 256
            ring.write(number, flat(number))
            newest[0] = number

    writer = Thread(target=write)
    writer.start()
    torn_with = torn_without = good = 0
    for _ in range(20000):
        number = newest[0]
        slot = (number + 1) % SLOTS
        bare = ring._pictures[slot].copy()
        torn_without += bare.min() != bare.max()
        image = ring.read(number)
        if image is not None:
            good += 1
            torn_with += bool((image != number % 256).any())
        if torn_without > 3 and good > 200:
            break
    over.set()
    writer.join()
    assert torn_with == 0
    assert good > 0
    assert torn_without > 0


def test_the_inbox_gives_the_newest_and_only_what_is_newer() -> None:
    ring, inbox = Ring.create((2, 2)), Inbox("door")
    assert inbox.newest(-1) is None
    for number in range(6):
        ring.write(number, flat(number, (2, 2)))
        inbox.put(ring, number, 100 + number, 5.0 + number, 0.5 * number)
    frame = inbox.newest(102)
    assert frame is not None
    assert (frame.index, frame.captured_at, frame.position, frame.name, frame.camera) == (
        105,
        10.0,
        2.5,
        "000105",
        "door",
    )
    np.testing.assert_array_equal(frame.image, flat(5, (2, 2)))
    assert inbox.newest(105) is None
    assert inbox.captured == 106
    inbox.clear()
    assert inbox.newest(-1) is None
    assert inbox.captured == 106


def test_the_inbox_does_not_wait_for_a_frame_that_was_overwritten() -> None:
    ring, inbox = Ring.create((2, 2)), Inbox("door")
    ring.write(0, flat(0, (2, 2)))
    inbox.put(ring, 0, 0, 1.0, None)
    for number in range(1, SLOTS + 1):
        ring.write(number, flat(number, (2, 2)))
    assert inbox.newest(-1) is None
