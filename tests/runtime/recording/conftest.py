"""Shots whose pictures tell their own number, and independent readers for what was recorded of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.recording.sink import RecordSink
from edgeseg_runtime.recording.writer import Clocks
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame

LABELS = (Label("road", (90, 90, 90)), Label("person", (220, 20, 60)), Label("traffic light", (250, 170, 30)))
BITS, CELL = 12, 8


def numbered_picture(index: int, size: tuple[int, int], noise: bool = False) -> Image:
    """A gradient that wanders, with the index in black and white cells along the top edge, lowest bit first."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    planes = [60 + (columns + 3 * index) % 120, 60 + rows % 120, 60 + (rows + columns) // 2 % 120]
    picture = np.stack(planes, axis=2).astype(np.uint8)
    if noise:  # so that a frame takes much room
        picture = np.random.default_rng(index).integers(0, 256, picture.shape, np.uint8)
    for bit in range(BITS):
        picture[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if index >> bit & 1 else 0
    return picture


def number_of(picture: Image) -> int:
    """Read the index back."""
    cells = picture[:CELL].mean(axis=2)[2 : CELL - 2]
    return sum(int(cells[:, b * CELL + 2 : (b + 1) * CELL - 2].mean() > 127) << b for b in range(BITS))


def plain_mask(index: int, size: tuple[int, int], share: float) -> Mask:
    """Class 1 in the first `share` of the pixels, 0 elsewhere, and one pixel of class 2 that wanders."""
    mask = np.zeros(size, np.uint8)
    mask.ravel()[: round(share * mask.size)] = 1
    mask[-1, index % size[1]] = 2
    return mask


class MakeShot(Protocol):
    """Makes shot `index` of `at` seconds; see `make_shot`."""

    def __call__(
        self,
        index: int,
        at: float,
        *,
        size: tuple[int, int] = (96, 128),
        share: float = 0.0,
        camera: str = "",
        masked: bool = True,
        noise: bool = False,
        opacity: float = 0.0,
        position: float | None = None,
        labels: tuple[Label, ...] = LABELS,
    ) -> Shot: ...


@pytest.fixture
def make_shot() -> MakeShot:
    """Return a function that makes a shot; with its default opacity 0 the annotated picture is the frame itself."""
    return _make_shot


def _make_shot(
    index: int,
    at: float,
    *,
    size: tuple[int, int] = (96, 128),
    share: float = 0.0,
    camera: str = "",
    masked: bool = True,
    noise: bool = False,
    opacity: float = 0.0,
    position: float | None = None,
    labels: tuple[Label, ...] = LABELS,
) -> Shot:
    contract = Contract(labels=labels, height=48, width=64)
    mask = plain_mask(index, size, share) if masked else np.full(size, 255, np.uint8)
    frame = Frame(index, numbered_picture(index, size, noise), at, position, f"{index:06d}", camera)
    result = SemanticResult(mask, contract, StageTimes(0, 0, 0))
    return Shot(frame, result, color_table(contract), opacity, masked_at=at if masked else None, fresh=False)


def offer(sink: RecordSink, shot: Shot) -> bool:
    """Have a shot recorded if the disk takes it; return whether it did."""
    try:
        sink.write(shot, False)
    except OutputError:
        return False
    return True


@dataclass(frozen=True)
class Movie:
    """What a reader found in a file."""

    numbers: list[int]
    times: list[float]
    pictures: list[Image]
    masks: list[Mask]


def read_with_av(path: Path) -> Movie:
    """Decode with PyAV: both tracks where there are two."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        pictures = [frame.to_ndarray(format="bgr24").astype(np.uint8) for frame in frames]
        times = [float(frame.time or 0) for frame in frames]
    masks: list[Mask] = []
    with av.open(str(path)) as container:
        if len(container.streams.video) > 1:
            for frame in container.decode(video=1):
                plane = np.frombuffer(bytes(frame.planes[0]), np.uint8)
                masks.append(plane.reshape(frame.height, frame.planes[0].line_size)[:, : frame.width])
    return Movie([number_of(picture) for picture in pictures], times, pictures, masks)


def read_with_cv2(path: Path) -> Movie:
    """Decode with OpenCV, which brings an FFmpeg of its own."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    pictures, times = [], []
    while True:
        found, picture = capture.read()
        if not found:
            break
        pictures.append(picture.astype(np.uint8))
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    capture.release()
    return Movie([number_of(picture) for picture in pictures], times, pictures, [])


Read = Callable[[Path], Movie]


@pytest.fixture(params=[read_with_av, read_with_cv2], ids=["PyAV", "OpenCV"])
def read(request: pytest.FixtureRequest) -> Read:
    """Return each of two independent readers in turn."""
    reader: Read = request.param
    return reader


@pytest.fixture
def readers() -> tuple[Read, Read]:
    """Return both, for what is costly to make."""
    return read_with_av, read_with_cv2


@pytest.fixture
def read_av() -> Read:
    """Return the reader that knows of masks."""
    return read_with_av


class Log:
    """Events as they came."""

    def __init__(self) -> None:
        self.events = Events()
        self.seen: list[Event] = []
        self.events.subscribe(self.seen.append)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.seen]

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.seen if event.kind == kind]


@pytest.fixture
def log() -> Log:
    """Return a place for events, with all that came."""
    return Log()


@dataclass
class FakeTime:
    """Clocks that stand still until they are moved."""

    wall: float = 1_800_000_000.0
    monotonic: float = 1000.0
    clocks: Clocks = field(init=False)

    def __post_init__(self) -> None:
        self.clocks = Clocks(lambda: self.wall, lambda: self.monotonic)


@pytest.fixture
def fake_time() -> FakeTime:
    """Return clocks under the test's control."""
    return FakeTime()


def segments(folder: Path) -> list[Path]:
    """Finished segments by their running number."""
    return sorted(folder.glob("*.mp4"), key=lambda path: path.stem.split("_")[-1])


@pytest.fixture
def finished() -> Callable[[Path], list[Path]]:
    """Return a function that lists a folder's finished segments, oldest first."""
    return segments
