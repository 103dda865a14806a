"""A recording: take frames → preprocess → infer → decode → draw → write: by several workers, put out in order.

Each worker takes whole frames through the model on a lane of its own, which beats a thread per stage: no frame changes
hands. Frames of a fast model go through in bursts, each step for the whole burst, which keeps the step in the core's
caches; bursts are short, so that nothing waits for long. Who writes to the outputs `writer.Writer` says; whatever goes
wrong is raised where the stream was started. Where objects are followed from frame to frame, the workers take turns for
that step alone, so that it sees the frames in order and drawing knows of its outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Thread
from time import monotonic, perf_counter
from typing import Any, Protocol

import numpy as np

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.feed import LONGEST_BURST, Feed
from edgeseg_runtime.machine import usable_cores
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sources.base import Frame, Source
from edgeseg_runtime.stats import StreamStats, StreamSummary, spreads
from edgeseg_runtime.turns import Over, Turns
from edgeseg_runtime.writer import Done, Writer

Watch = Callable[[StreamStats], None]
"""Is shown the statistics."""

Follow = Callable[[Result, Frame], Result]
"""Learns of the results one after the other; `chronicle.Chronicle.follow` is one."""

DRAIN_SECONDS = 0.8
"""How long frames in flight may take to finish once a stop is wanted; after that they count as dropped."""

_GLANCE_SECONDS = 0.2
"""How often the calling thread looks up, when no frame comes, to see whether a stop is wanted."""


BURST_SECONDS = 0.1
"""What a burst may take from the first frame's reading to the last one's drawing, by the time the last burst took."""


class Lane(Protocol):
    """A way through a model."""

    def each(self, frames: Sequence[Image]) -> list[Result]:
        """Segment uint8 H×W×3 BGR frames."""
        ...


class Model(Protocol):
    """What a stream needs of a model; `Segmenter` is one."""

    contract: Contract

    def lane(self) -> Lane:
        """Make a way through the model for a thread of its own."""
        ...


@dataclass(frozen=True)
class StreamOptions:
    """How to stream. Raises ConfigError for values outside what is allowed."""

    lanes: int = 1
    """Bursts of frames worked on at the same time."""
    limit: int | None = None
    """Number of frames after which to end; None: at the end of the source."""
    opacity: float = 0.5
    """Of the coloured mask over the frame, 0..1."""
    follow: Follow | None = None
    """Is given every result and its frame, in order, and returns what is put out in its place."""

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise ConfigError(f"lanes must be at least 1, got {self.lanes}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1 frame, got {self.limit}")
        if not 0 <= self.opacity <= 1:
            raise ConfigError(f"opacity must be in 0..1, got {self.opacity}")


@dataclass
class Stop:
    """Asks a running stream to end. A plain flag, so that a signal handler may set it."""

    wanted: bool = False


class Pipeline:
    """One run of a stream; see `run_stream`."""

    def __init__(self, source: Source, model: Model, sinks: Sequence[Sink[Any]], options: StreamOptions) -> None:
        self._source, self._model, self._sinks, self._options = source, model, sinks, options
        self._feed = Feed(source, options.limit, options.lanes)
        self._writer = Writer(sinks, options.lanes, usable_cores())
        self._turns = Turns()
        self._table = color_table(model.contract)
        self._patience = min([_GLANCE_SECONDS, *(sink.patience for sink in sinks if sink.patience)])

    def run(self, stop: Stop, watch: Watch | None) -> StreamSummary:
        """Stream until the end and close the source."""
        workers: list[Thread] = []
        try:
            lanes = self._warm_lanes()
            workers += [Thread(target=self._work, args=(lane,), name="edgeseg-lane", daemon=True) for lane in lanes]
            started = perf_counter()
            for worker in workers:
                worker.start()
            ended = self._wait(stop, watch)
            seconds = perf_counter() - started
        finally:
            self._shut(workers)
        if ended == "end" and self._feed.error is not None:
            raise self._feed.error
        return self._summary(ended, seconds)

    def _warm_lanes(self) -> list[Lane]:
        """Make the lanes side by side: one may compile a model of its own, and its lazy set-up is no frame's to pay."""
        black = np.zeros((*self._model.contract.size, 3), np.uint8)

        def make(_: int) -> Lane:
            lane = self._model.lane()
            lane.each([black])
            return lane

        with ThreadPoolExecutor(self._options.lanes) as pool:
            return list(pool.map(make, range(self._options.lanes)))

    def _work(self, lane: Lane) -> None:
        error: BaseException | None = None
        try:
            self._take_frames(lane)
        except Over:  # the stream ends, or another worker failed
            pass
        except BaseException as caught:  # raised again in the thread that runs the stream
            error = caught
            self._turns.close()
        finally:
            self._writer.lane_done(error)

    def _take_frames(self, lane: Lane) -> None:
        feed, writer = self._feed, self._writer
        most = 1
        while True:
            started = perf_counter()
            taken = feed.take(most)
            if taken is None:
                return
            ticket, frames = taken
            took = (perf_counter() - started) / len(frames)
            results = self._followed(ticket, frames, lane.each([frame.image for frame in frames]))
            burst = [self._drawn(frame, result, took) for frame, result in zip(frames, results, strict=True)]
            each = (perf_counter() - started) / len(frames)
            most = max(1, min(LONGEST_BURST, int(BURST_SECONDS / each)))
            if not writer.put(ticket, burst):
                return

    def _drawn(self, frame: Frame, result: Result, took: float) -> Done:
        shot = Shot(frame, result, self._table, self._options.opacity)
        drawing = perf_counter()
        encoded = [sink.encode(shot) for sink in self._sinks]
        return Done(shot, encoded, took, perf_counter() - drawing)

    def _followed(self, ticket: int, frames: Sequence[Frame], results: list[Result]) -> list[Result]:
        """Let each result be followed after the one before. A worker waits for that: what it does next needs it."""
        if self._options.follow is None:
            return results
        with self._turns.turn(ticket):
            return [self._options.follow(result, frame) for frame, result in zip(frames, results, strict=True)]

    def _wait(self, stop: Stop, watch: Watch | None) -> str:
        """Wait for the end, and return why it came. Frames in flight when a stop is wanted are still written."""
        deadline = float("inf")
        watch_at = monotonic() + 1
        while self._writer.wait(self._patience):
            now = monotonic()
            if watch is not None and now >= watch_at:
                watch(self._writer.stats)
                watch_at = now + 1
            if stop.wanted and deadline == float("inf"):
                self._feed.stop()
                deadline = now + DRAIN_SECONDS
            if now >= deadline:
                break
        if self._writer.enough:
            return "closed"
        if stop.wanted:
            return "interrupted"
        return "limit" if self._writer.stats.emitted == self._options.limit else "end"

    def _shut(self, workers: list[Thread]) -> None:
        """End the workers and the source. What is stuck in a read or in the engine is left behind, as daemons."""
        self._feed.stop()
        self._writer.close()
        self._turns.close()
        deadline = monotonic() + DRAIN_SECONDS / 2
        for worker in workers:
            if worker.ident is not None:
                worker.join(max(0.0, deadline - monotonic()))
        self._feed.close(max(0.0, deadline - monotonic()))

    def _summary(self, ended: str, seconds: float) -> StreamSummary:
        stats = self._writer.stats
        age, stages = spreads(stats.counts())
        return StreamSummary(
            source=self._source.title,
            captured=self._feed.captured,
            emitted=stats.emitted,
            dropped=self._feed.captured - stats.emitted,
            seconds=seconds,
            age=age,
            stages=stages,
            ended=ended,
            remarks=tuple(self._source.remarks),
        )
