"""Latency and throughput of several subjects, in turns, so that their ratios hold on a machine that is not idle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from statistics import median
from threading import Barrier, Thread
from time import perf_counter
from typing import Any

import numpy as np

from edgeseg_bench.subjects import Lane, Subject
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.result import StageTimes

Clock = Callable[[], float]

TURNS = 20
"""Turns among which a subject's seconds are spread, so that a noisy minute hits all subjects alike."""
MIN_LAPS = 5
SLICES = 3
"""Turns in which throughput is taken; the median counts."""


@dataclass
class Laps:
    """Seconds a subject took, frame by frame."""

    whole: list[float] = field(default_factory=list)
    """From BGR frame to mask of its size."""
    stages: list[StageTimes] = field(default_factory=list)
    """Empty for code that does not know its stages."""

    def add(self, seconds: float, stages: StageTimes | None) -> None:
        """Count one frame."""
        self.whole.append(seconds)
        if stages is not None:
            self.stages.append(stages)

    def as_dict(self) -> dict[str, Any]:
        """Return percentiles in milliseconds and the medians of the stages, as plain JSON values."""
        stages = {
            name: round(1e3 * median(getattr(times, name) for times in self.stages), 4)
            for name in ("preprocess", "infer", "decode")
            if self.stages
        }
        return {"frames": len(self.whole), **percentiles_ms(self.whole), "stages_ms": stages or None}


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds, interpolated linearly between order statistics.

    Raises ValueError for no values: a percentile of nothing is not a number.
    """
    if not seconds:
        raise ValueError("no lap was timed")
    values = np.percentile(seconds, [50, 95, 99]) * 1e3
    return {f"p{percent}_ms": round(float(value), 4) for percent, value in zip((50, 95, 99), values, strict=True)}


def take_turns(
    subjects: Sequence[Subject],
    frames: Sequence[Image],
    seconds: float,
    progress: Progress = silent,
    clock: Clock = perf_counter,
) -> list[Laps]:
    """Return the laps of each subject, `seconds` of them (and at least MIN_LAPS), spread over TURNS turns.

    Each turn starts with another subject, so that none always follows the same one. A subject too slow for its share
    of a turn sits out the next ones until it is even.
    """
    supply = cycle(frames)
    for subject in subjects:  # lazy set-up belongs to nobody's lap
        _burst(subject, supply, Laps(), 0.0, clock)
    share = seconds / TURNS
    laps = [Laps() for _ in subjects]
    used = [0.0 for _ in subjects]
    for turn in progress(range(TURNS), "latency", TURNS):
        for place in range(len(subjects)):
            index = (turn + place) % len(subjects)
            due = (turn + 1) * share - used[index]
            if due > 0:
                used[index] += _burst(subjects[index], supply, laps[index], due, clock)
    for subject, own in zip(subjects, laps, strict=True):
        while len(own.whole) < MIN_LAPS:
            _burst(subject, supply, own, share, clock)
    return laps


def _burst(subject: Subject, frames: Iterator[Image], laps: Laps, seconds: float, clock: Clock) -> float:
    """Time frames for `seconds`, at least one, and return the seconds used.

    A frame before them is not counted: it finds the caches full of another subject's data.
    """
    subject.set_threads(subject.threads)
    started = clock()
    subject.lane(next(frames))
    while True:
        begun = clock()
        stages = subject.lane(next(frames))
        ended = clock()
        laps.add(ended - begun, stages)
        if ended - started >= seconds:
            return ended - started


def throughputs(
    subjects: Sequence[Subject], frames: Sequence[Image], seconds: float, progress: Progress = silent
) -> list[float]:
    """Return the frames a second of each subject with all its lanes at work: the median of SLICES slices."""
    rates: list[list[float]] = [[] for _ in subjects]
    for number in progress(range(SLICES * len(subjects)), "throughput", SLICES * len(subjects)):
        index = number % len(subjects)
        subject = subjects[index]
        subject.set_threads(1)  # the lanes are the parallelism; OpenCV's own threads would only get in their way
        started, done = run_lanes(subject.lanes, frames, seconds / SLICES)
        rates[index].append(rate(started, done))
    return [median(values) for values in rates]


def rate(started: float, done: Sequence[Sequence[float]]) -> float:
    """Return frames a second from the start and the times at which each lane finished its frames.

    The clock stops with the lane that ends first, so that the others' last frames are not counted against idle cores.
    """
    until = min(lane[-1] for lane in done)
    return sum(time <= until for lane in done for time in lane) / (until - started)


def run_lanes(
    lanes: Sequence[Lane], frames: Sequence[Image], seconds: float, clock: Clock = perf_counter
) -> tuple[float, list[list[float]]]:
    """Run every lane in a thread of its own for `seconds` (a frame at least); return the start and every finish.

    A single lane runs in the calling thread: in any but the one it began in, PyTorch was seen to use little more than
    one of two threads. Raises what a lane raised.
    """
    done: list[list[float]] = [[] for _ in lanes]

    def run(index: int, since: float) -> None:
        for number in count(index, len(lanes)):
            lanes[index](frames[number % len(frames)])
            done[index].append(clock())
            if done[index][-1] - since >= seconds:
                return

    if len(lanes) == 1:
        lanes[0](frames[0])  # not counted
        begun = clock()
        run(0, begun)
        return begun, done
    errors: list[BaseException] = []
    barrier = Barrier(len(lanes) + 1)
    start: list[float] = []

    def work(index: int) -> None:
        try:
            lanes[index](frames[index % len(frames)])  # not counted
        except BaseException as error:  # raised in the calling thread
            errors.append(error)
        barrier.wait()
        barrier.wait()
        if errors:
            return
        try:
            run(index, start[0])
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=work, args=(index,), daemon=True) for index in range(len(lanes))]
    for thread in threads:
        thread.start()
    barrier.wait()
    start.append(clock())
    barrier.wait()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return start[0], done
