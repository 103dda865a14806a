"""Who writes what of finished bursts, when."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.writer import Done, Writer

pytestmark = pytest.mark.timeout(30)


class Listed(Sink[int]):
    """Keeps the frames' numbers, and the threads that brought them."""

    def __init__(self, pause: float = 0.0) -> None:
        self.frames: list[int] = []
        self.threads: set[str] = set()
        self.closed = False
        self._pause, self._one = pause, threading.Lock()

    def encode(self, shot: Shot) -> int:
        return shot.frame.index

    def write(self, shot: Shot, encoded: int) -> None:
        assert shot.frame.index == encoded and not self.closed
        assert self._one.acquire(blocking=False), "two frames at a time"
        time.sleep(self._pause)
        self.frames.append(encoded)
        self.threads.add(threading.current_thread().name)
        self._one.release()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def bursts(colour_contract: Contract) -> list[list[Done]]:
    """60 bursts of one to five frames."""
    result = SemanticResult(np.zeros((4, 6), np.uint8), colour_contract, StageTimes(0.0, 0.0, 0.0))
    dice, made, index = random.Random(5), [], 0
    for _ in range(60):
        burst = []
        for _ in range(dice.randint(1, 5)):
            frame = Frame(index, np.zeros((4, 6, 3), np.uint8), time.monotonic(), None, str(index))
            burst.append(Done(Shot(frame, result, np.zeros((0, 3), np.uint8), 0.5), [index], 0.0, 0.0))
            index += 1
        made.append(burst)
    return made


def start_lanes(writer: Writer, bursts: Sequence[list[Done]], lanes: int) -> list[threading.Thread]:
    tickets, lock = iter(range(len(bursts))), threading.Lock()

    def work(seed: int) -> None:
        dice = random.Random(seed)
        while True:
            with lock:
                ticket = next(tickets, None)
            if ticket is None or not writer.put(ticket, bursts[ticket]):
                return writer.lane_done(None)
            time.sleep(dice.uniform(0, 0.002))

    threads = [threading.Thread(target=work, args=(seed,), name=f"lane{seed}", daemon=True) for seed in range(lanes)]
    for thread in threads:
        thread.start()
    return threads


def count(bursts: Sequence[list[Done]]) -> int:
    return sum(len(burst) for burst in bursts)


@pytest.mark.parametrize(("lanes", "cores"), [(1, 1), (2, 2), (4, 2), (9, 3)])
def test_lanes_write_where_every_core_has_one(bursts: list[list[Done]], lanes: int, cores: int) -> None:
    sink = Listed()
    writer = Writer([sink], lanes, cores)
    threads = start_lanes(writer, bursts, lanes)
    while writer.wait(5):
        pass
    assert sink.frames == list(range(count(bursts)))
    assert writer.stats.emitted == count(bursts)
    assert sink.threads <= {thread.name for thread in threads}


@pytest.mark.parametrize("what", ["a spare core", "a window", "one to look after"])
def test_the_calling_thread_writes_where_a_core_is_to_spare_or_an_output_wants_it(
    bursts: list[list[Done]], what: str
) -> None:
    sink = Listed()
    sink.in_main_thread = what == "a window"
    sink.patience = 0.01 if what == "one to look after" else None
    writer = Writer([sink], 2, 3 if what == "a spare core" else 2)
    start_lanes(writer, bursts, 2)
    while writer.wait(5):
        pass
    assert sink.frames == list(range(count(bursts)))
    assert sink.threads == {threading.current_thread().name}


def test_what_a_lane_leaves_because_another_writes_is_written_by_that_one(
    bursts: list[list[Done]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second burst comes just when the lane that wrote the first has found nothing more, and has not gone yet."""
    sink = Listed()
    writer = Writer([sink], 2, 2)
    take = writer._buffer.take
    late = threading.Thread(target=lambda: writer.put(1, bursts[1]), name="late")

    def take_and_be_late(timeout: float | None) -> list[list[Done]] | None:
        taken = take(timeout)
        if not taken and late.ident is None:
            late.start()
            late.join()
            assert sink.frames == list(range(count(bursts[:1])))
        return taken

    monkeypatch.setattr(writer._buffer, "take", take_and_be_late)
    assert writer.put(0, bursts[0])
    assert sink.frames == list(range(count(bursts[:2])))
    assert sink.threads == {threading.current_thread().name}


def test_lanes_can_go_on_when_everything_that_waited_was_written(bursts: list[list[Done]]) -> None:
    sink = Listed()
    writer = Writer([sink], 2, 2)
    for ticket in (1, 2, 3, 0):  # as many as may wait
        assert writer.put(ticket, bursts[ticket])
    lane = threading.Thread(target=lambda: writer.put(4, bursts[4]), daemon=True)
    lane.start()
    lane.join(5)
    assert not lane.is_alive()
    assert sink.frames == list(range(count(bursts[:5])))


def test_an_output_that_fails_in_a_lane_fails_where_the_stream_runs(bursts: list[list[Done]]) -> None:
    class Full(Listed):
        def write(self, shot: Shot, encoded: int) -> None:
            if shot.frame.index == 3:
                raise OSError(28, "No space left on device")
            super().write(shot, encoded)

    sink = Full()
    writer = Writer([sink], 1, 1)

    def work() -> None:
        try:
            for ticket, burst in enumerate(bursts):
                writer.put(ticket, burst)
        except OSError as error:
            writer.lane_done(error)

    threading.Thread(target=work, daemon=True).start()
    with pytest.raises(OSError, match="No space left"):
        while writer.wait(5):
            pass
    assert sink.frames == [0, 1, 2]


def test_nothing_is_written_once_it_is_closed(bursts: list[list[Done]]) -> None:
    sink = Listed(pause=0.005)
    writer = Writer([sink], 2, 2)
    threads = start_lanes(writer, bursts, 2)
    while not sink.frames:
        time.sleep(0.001)
    writer.close()
    written = list(sink.frames)
    sink.close()  # which a later frame would be told of
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sink.frames == written == list(range(len(written)))
    assert writer.stats.emitted == len(written) < count(bursts)


def test_closing_waits_for_no_more_than_the_frame_that_is_being_written(bursts: list[list[Done]]) -> None:
    class Slow(Listed):
        def write(self, shot: Shot, encoded: int) -> None:
            begun.set()
            assert go_on.wait(10)
            super().write(shot, encoded)

    begun, go_on, sink = threading.Event(), threading.Event(), Slow()
    writer = Writer([sink], 1, 1)
    lane = threading.Thread(target=lambda: writer.put(0, [done for burst in bursts[:9] for done in burst]), daemon=True)
    lane.start()
    assert begun.wait(10)
    closing = threading.Thread(target=writer.close, daemon=True)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()  # a frame is being written
    go_on.set()
    closing.join(10)
    lane.join(10)
    assert sink.frames == [0] and not closing.is_alive() and not lane.is_alive()
