"""The end of a recording's pipeline: finished frames, back in order, to every output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from time import monotonic, perf_counter
from typing import Any

from edgeseg_runtime.reorder import ReorderBuffer
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.stats import StreamStats


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A frame through the model, and what each output is to write of it."""

    shot: Shot
    encoded: list[Any]
    take: float
    """Seconds, as `draw`."""
    draw: float


class Writer:
    """Gives frames to the outputs in order and one at a time.

    A lane that hands in a burst writes what is next, where every core has a lane: a thread of the writer's own would
    take turns with the lanes on their cores, and empty their caches. Where a core is to spare the calling thread
    writes, beside the lanes, and so it does for outputs that must be driven from there or be looked after.
    """

    def __init__(self, sinks: Sequence[Sink[Any]], lanes: int, cores: int) -> None:
        self._sinks = sinks
        self._lanes_write = lanes >= cores and not any(sink.in_main_thread or sink.patience for sink in sinks)
        # Lanes may run ahead, which evens out slow frames.
        self._buffer: ReorderBuffer[list[Done]] = ReorderBuffer(2 * lanes, lanes)
        self._writing = Lock()
        self._closed = False
        self.stats = StreamStats()
        """Of what every output has; it changes while lanes write."""
        self.enough = False
        """Whether an output wants no more."""

    def put(self, ticket: int, burst: list[Done]) -> bool:
        """Hand in a lane's burst, waiting while it is far ahead of what is written. False once closed."""
        if not self._buffer.put(ticket, burst):
            return False
        # Another lane that is writing looks for this burst too, before it leaves or after.
        while self._lanes_write and self._buffer.ready and self._writing.acquire(blocking=False):
            try:
                while ready := self._buffer.take(0):
                    self._write(ready)
            finally:
                self._writing.release()
        return True

    def lane_done(self, error: BaseException | None) -> None:
        """Say that a lane hands in nothing more, and what stopped it if something did."""
        self._buffer.worker_done(error)

    def wait(self, timeout: float) -> bool:
        """Write, or let the lanes write, for the calling thread. False: everything is written, or it is enough.

        Comes back after a burst, or after `timeout` seconds. Raises what a lane or an output failed with.
        """
        if self._lanes_write:
            over = self._buffer.wait_for_workers(timeout)
        else:
            ready = self._buffer.take(timeout)
            over = ready is None
            if ready == []:
                self._idle()
            self._write(ready or [])
        return not (over or self.enough)

    def close(self) -> None:
        """Send lanes away and write no more. Waits for the frame that is being written."""
        self._buffer.close()
        self._closed = True
        with self._writing:
            pass

    def _write(self, ready: list[list[Done]]) -> None:
        for burst in ready:
            for done in burst:
                if self.enough or self._closed:
                    return
                self._write_one(done)

    def _write_one(self, done: Done) -> None:
        started = perf_counter()
        for sink, encoded in zip(self._sinks, done.encoded, strict=True):
            sink.write(done.shot, encoded)
        emitted = perf_counter() - started
        times = done.shot.result.times
        stages = (done.take, times.preprocess, times.infer, times.decode, done.draw, emitted)
        self.stats.emit(monotonic() - done.shot.frame.captured_at, stages)
        self.enough = not all(sink.wanted for sink in self._sinks)

    def _idle(self) -> None:
        for sink in self._sinks:
            sink.idle()
        self.enough = not all(sink.wanted for sink in self._sinks)
