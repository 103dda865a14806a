"""What the machine could do at best: the processor time that each step of a stream costs a frame, measured alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import cv2

from edgeseg_runtime.draw import color_table
from edgeseg_runtime.engines import Raw
from edgeseg_runtime.errors import SourceError
from edgeseg_runtime.feed import LONGEST_BURST
from edgeseg_runtime.memory import keep_freed_memory
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.segmenter import Segmenter
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.video import VideoSink
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.sources.video_file import open_video

OPACITY = 0.5
KEPT_FRAMES = LONGEST_BURST
"""Frames that are kept while reading is measured: as many as a lane of a stream has at most."""


@dataclass(frozen=True)
class CoreCosts:
    """Core-milliseconds a frame costs in each step: processor time of the whole process, on one thread."""

    read: float
    """Demuxing and decoding the video."""
    preprocess: float
    infer: float
    decode: float
    """From scores to a mask of the frame's size."""
    draw: float = 0.0
    """The mask over the picture; 0 where nothing is drawn."""
    encode: float = 0.0
    """Compressing the drawn picture into a video; 0 where none is written."""

    def without_output(self) -> CoreCosts:
        """Return the costs of a stream that draws and writes nothing."""
        return replace(self, draw=0.0, encode=0.0)

    @property
    def total(self) -> float:
        """Core-milliseconds a frame costs altogether."""
        return float(sum(asdict(self).values()))

    def bound(self, cores: int) -> float:
        """Return the frames a second that `cores` reach if they do nothing else and never wait."""
        return 1e3 * cores / self.total

    def as_dict(self, cores: int) -> dict[str, Any]:
        """Return plain JSON values."""
        steps = {f"{name}_ms": round(value, 4) for name, value in asdict(self).items()}
        return {**steps, "total_ms": round(self.total, 4), "cores": cores, "bound_fps": round(self.bound(cores), 2)}


def core_costs(
    clip: Path,
    segmenter: Segmenter,
    limit: int = 150,
    clock: Callable[[], float] = process_time,
    *,
    video: str | None = None,
) -> CoreCosts:
    """Measure the steps one after the other over the first `limit` frames of a clip.

    With `video`, `.mp4` or `.avi`, also drawing the masks and encoding such a file.

    `segmenter` should have one thread; OpenCV and the video decoder are held to one here. Each step has the clip to
    itself: nothing else of the stream runs meanwhile. Raises SourceError.
    """
    lane = segmenter.lane()
    keep_freed_memory()
    with one_opencv_thread():
        _reading(clip, KEPT_FRAMES, lambda: 0.0)  # makes the memory that the frames are then read into
        read = _reading(clip, limit, clock)
        frames = _read(clip, limit)
        height, width = frames[0].shape[:2]
        images, preprocess = _each(lane.preprocess, frames, clock)
        lane.infer(images[0])  # lazy set-up
        raws, infer = _each(lambda image: _copied(lane.infer(image)), images, clock)
        _, copying = _each(_copied, raws, clock)  # the copies are ours, not the stream's
        results, decode = _each(lambda raw: lane.decode(raw, height, width), raws, clock)
        drawing = (0.0, 0.0) if video is None else _draw_and_encode(frames, results, video, clock)
    return CoreCosts(
        *(1e3 * seconds / len(frames) for seconds in (read, preprocess, infer - copying, decode, *drawing))
    )


def median_costs(costs: Sequence[CoreCosts]) -> CoreCosts:
    """Return the median of each step."""
    return CoreCosts(*(median(getattr(one, step.name) for one in costs) for step in fields(CoreCosts)))


def mean_costs(before: CoreCosts, after: CoreCosts) -> CoreCosts:
    """Return the mean of each step: the costs at a time between two at which they were measured."""
    return CoreCosts(*((getattr(before, step.name) + getattr(after, step.name)) / 2 for step in fields(CoreCosts)))


def _read(clip: Path, limit: int) -> list[Image]:
    """Return the first frames. Raises SourceError where there is none."""
    with closing(open_video(clip, decoder_threads=1)) as source:
        frames = [frame.image for frame in islice(iter(source.read, None), limit)]
    if not frames:
        raise SourceError(f"{clip} gives no frame")
    return frames


def _reading(clip: Path, limit: int, clock: Callable[[], float]) -> float:
    """Return the seconds that reading the first frames takes when, as in a stream, only a few are kept.

    Memory that was never used must be found and cleared first, which can take half as long as decoding into it.
    """
    kept: deque[Any] = deque(maxlen=KEPT_FRAMES)
    with closing(open_video(clip, decoder_threads=1)) as source:
        started = clock()
        kept.extend(islice(iter(source.read, None), limit))
        return clock() - started


def _draw_and_encode(
    frames: Sequence[Image], results: Sequence[Result], suffix: str, clock: Callable[[], float]
) -> tuple[float, float]:
    """Return the seconds that drawing the results and encoding the pictures took, finishing the file included."""
    table = color_table(results[0].contract)
    shots = [
        Shot(Frame(at, image, 0.0, 0.0, str(at)), result, table, OPACITY)
        for at, (image, result) in enumerate(zip(frames, results, strict=True))
    ]
    with TemporaryDirectory() as folder:
        sink = VideoSink(Path(folder) / f"drawn{suffix}")
        pictures, draw = _each(sink.encode, shots, clock)
        started = clock()
        for shot, picture in zip(shots, pictures, strict=True):
            sink.write(shot, picture)
        sink.close()
        return draw, clock() - started


def _copied(raw: Raw) -> Raw:
    return tuple(values.copy() for values in raw)


def _each(step: Callable[[Any], Any], items: Sequence[Any], clock: Callable[[], float]) -> tuple[list[Any], float]:
    """Return what `step` makes of each item, and the seconds all of them took."""
    started = clock()
    made = [step(item) for item in items]
    return made, clock() - started


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Hold OpenCV to one thread."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
