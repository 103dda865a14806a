"""Run a model over a recording, into any number of outputs; `live.loop` does it for live sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import cv2

from edgeseg_runtime.machine import usable_cores
from edgeseg_runtime.memory import keep_freed_memory
from edgeseg_runtime.pipeline import Model, Pipeline, Stop, StreamOptions, Watch
from edgeseg_runtime.sinks.base import Sink
from edgeseg_runtime.sources.base import Source
from edgeseg_runtime.stats import StreamSummary

__all__ = ["Stop", "StreamOptions", "default_lanes", "run_stream"]


def default_lanes(threads: int = 0) -> int:
    """Return a lane for every thread; 0 threads: for every core. A lane computes in its own thread and seldom waits."""
    return threads or usable_cores()


def run_stream(
    source: Source,
    model: Model,
    sinks: Sequence[Sink[Any]],
    options: StreamOptions | None = None,
    *,
    stop: Stop | None = None,
    watch: Watch | None = None,
) -> StreamSummary:
    """Stream until the source ends, the limit is reached, a viewer closes an output, or `stop` is wanted.

    Takes over `source` and `sinks`: they are closed when it returns or raises. `watch` is called about once a second
    from the calling thread, with the statistics. Raises what the source, a lane or an
    output raised, after the frames before it were written where the source was at fault.
    """
    options = options or StreamOptions()
    keep_freed_memory()
    with ExitStack() as outputs:
        for sink in sinks:
            outputs.callback(sink.close)
        with _opencv_threads(1 if options.lanes > 1 else None):
            return Pipeline(source, model, sinks, options).run(stop or Stop(), watch)


@contextmanager
def _opencv_threads(number: int | None) -> Iterator[None]:
    """Limit OpenCV's own threads while several lanes run, because they would fight over the same cores."""
    if number is None:
        yield
        return
    before = cv2.getNumThreads()
    cv2.setNumThreads(number)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
