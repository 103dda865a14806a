from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, SourceError
from edgeseg_runtime.feed import LONGEST_BURST
from edgeseg_runtime.machine import usable_cores
from edgeseg_runtime.pipeline import BURST_SECONDS
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result, SemanticResult, StageTimes
from edgeseg_runtime.segmenter import Segmenter
from edgeseg_runtime.sinks import Shot, Sink
from edgeseg_runtime.sources import open_source
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.stats import STAGES, StreamStats, StreamSummary
from edgeseg_runtime.stream import Stop, StreamOptions, default_lanes, run_stream
from tests.runtime.lanes import OneByOne

if TYPE_CHECKING:
    from tests.conftest import ColourClip, TinyModel

pytestmark = pytest.mark.timeout(30)  # a pipeline that hangs must not wait for the whole suite's limit


class FakeSource:
    """`frames` pictures, the number of each in its first pixel; paced if wanted."""

    def __init__(self, frames: int, *, pause: float = 0.0, fail_at: int | None = None) -> None:
        self.title, self.size, self.fps, self.length = "fake", (4, 6), 10.0, frames
        self.remarks: list[str] = []
        self.closed = 0
        self.readers: set[str] = set()
        self._frames, self._pause, self._fail_at, self._index = frames, pause, fail_at, 0

    def read(self) -> Frame | None:
        self.readers.add(threading.current_thread().name)
        time.sleep(self._pause)
        if self._index == self._fail_at:
            raise SourceError(f"the source failed at {self._index}")
        if self._index == self._frames:
            return None
        image = np.zeros((4, 6, 3), np.uint8)
        image[0, 0] = self._index % 256
        frame = Frame(self._index, image, time.monotonic(), None, f"{self._index:06d}")
        self._index += 1
        return frame

    def close(self) -> None:
        self.closed += 1


class FakeModel:
    """Gives the frame's first channel as its mask; `work` runs in the lane before that."""

    def __init__(self, contract: Contract, work: Callable[[Image], None] = lambda _image: None) -> None:
        self.contract, self._work = contract, work

    def lane(self) -> OneByOne:
        def run(image: Image) -> SemanticResult:
            self._work(image)
            return SemanticResult(image[..., 0].copy(), self.contract, StageTimes(0.001, 0.002, 0.003))

        return OneByOne(run)


class Recorder(Sink[int]):
    """Keeps what it was given, and whether every call came from where and when it should."""

    def __init__(
        self,
        *,
        fail_at: int | None = None,
        enough_at: int | None = None,
        pause: float = 0.0,
        in_main_thread: bool = False,
    ) -> None:
        self.in_main_thread = in_main_thread
        self.frames: list[int] = []
        self.marks: list[int] = []
        self.threads: set[str] = set()
        self.closed = self.idled = 0
        self._fail_at, self._enough_at, self._pause = fail_at, enough_at, pause

    def encode(self, shot: Shot) -> int:
        return int(shot.result.mask[0, 0])

    def write(self, shot: Shot, encoded: int) -> None:
        assert not self.closed
        time.sleep(self._pause)
        if self._fail_at is not None and shot.frame.index >= self._fail_at:
            raise OSError(28, "No space left on device")
        self.threads.add(threading.current_thread().name)
        self.frames.append(shot.frame.index)
        self.marks.append(encoded)
        self.wanted = shot.frame.index != self._enough_at

    def idle(self) -> None:
        self.idled += 1

    def close(self) -> None:
        self.closed += 1


def assert_balanced(summary: StreamSummary) -> None:
    assert summary.captured == summary.emitted + summary.dropped


def lane_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("edgeseg-")]


by_whom = pytest.mark.parametrize("in_main_thread", [True, False])


@by_whom
@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_a_recording_is_written_whole_and_in_order(
    colour_contract: Contract, lanes: int, *, in_main_thread: bool
) -> None:
    def uneven(image: Image) -> None:
        time.sleep(0.004 * (int(image[0, 0, 0]) % 3))

    source, sinks = FakeSource(60), [Recorder(in_main_thread=in_main_thread), Recorder()]
    summary = run_stream(source, FakeModel(colour_contract, uneven), sinks, StreamOptions(lanes))
    calling = {threading.current_thread().name}
    lanes_write = lanes >= usable_cores() and not in_main_thread
    for sink in sinks:
        assert sink.frames == sink.marks == list(range(60))
        assert sink.threads == ({"edgeseg-lane"} if lanes_write else calling)
        assert sink.closed == 1
    assert (summary.captured, summary.emitted, summary.dropped, summary.ended) == (60, 60, 0, "end")
    assert source.closed == 1
    assert lane_threads() == []


def test_several_lanes_work_at_the_same_time(colour_contract: Contract) -> None:
    meeting = threading.Barrier(3, timeout=10)  # broken, and raising, unless three frames are worked on at once

    def meet(image: Image) -> None:
        if image.shape[0] == 4:  # the warm-up picture is larger, and comes lane by lane
            meeting.wait()

    summary = run_stream(FakeSource(3), FakeModel(colour_contract, meet), [Recorder()], StreamOptions(lanes=3))
    assert summary.emitted == 3


@pytest.mark.parametrize(("seconds", "frames", "longest"), [(0.0, 99, LONGEST_BURST), (0.6 * BURST_SECONDS, 9, 1)])
def test_frames_of_a_fast_model_come_in_bursts_and_those_of_a_slow_one_alone(
    colour_contract: Contract, seconds: float, frames: int, longest: int
) -> None:
    bursts: list[int] = []

    class Lane:
        def each(self, frames: Sequence[Image]) -> list[Result]:
            bursts.append(len(frames))
            time.sleep(seconds * len(frames))
            times = StageTimes(0.001, 0.002, 0.003)
            return [SemanticResult(frame[..., 0].copy(), colour_contract, times) for frame in frames]

    class Model:
        contract = colour_contract

        def lane(self) -> Lane:
            return Lane()

    sink = Recorder()
    run_stream(FakeSource(frames), Model(), [sink])
    assert sink.frames == sink.marks == list(range(frames))
    assert max(bursts) == longest and bursts[:2] == [1, 1]  # the warm-up, and a first frame to learn how long one takes


def test_lanes_are_warmed_up_before_the_first_frame_is_read(colour_contract: Contract) -> None:
    seen: list[tuple[int, ...]] = []
    run_stream(FakeSource(1), FakeModel(colour_contract, lambda image: seen.append(image.shape)), [])
    assert seen == [(24, 32, 3), (4, 6, 3)]


@by_whom
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("fault", ["source", "lane", "output"])
def test_any_fault_is_raised_with_everything_closed_and_no_thread_left(
    colour_contract: Contract, fault: str, lanes: int, *, in_main_thread: bool
) -> None:
    def fail(image: Image) -> None:
        if fault == "lane" and image[0, 0, 0] >= 5:
            raise ZeroDivisionError("the lane failed")

    source = FakeSource(10_000, pause=0.001, fail_at=20 if fault == "source" else None)
    sinks = [Recorder(in_main_thread=in_main_thread), Recorder(fail_at=0 if fault == "output" else None)]
    expected = {"source": SourceError, "lane": ZeroDivisionError, "output": OSError}[fault]
    with pytest.raises(expected, match=f"the {fault} failed" if fault != "output" else "No space"):
        run_stream(source, FakeModel(colour_contract, fail), sinks, StreamOptions(lanes))
    assert [sink.closed for sink in sinks] == [1, 1]
    assert source.closed == 1
    assert lane_threads() == []


@by_whom
def test_frames_before_a_sources_fault_are_still_written(colour_contract: Contract, *, in_main_thread: bool) -> None:
    sink = Recorder(in_main_thread=in_main_thread)
    with pytest.raises(SourceError):
        run_stream(FakeSource(50, fail_at=17), FakeModel(colour_contract), [sink], StreamOptions(lanes=3))
    assert sink.frames == list(range(17))


def test_a_fault_while_closing_one_output_still_closes_the_others(colour_contract: Contract) -> None:
    class Stubborn(Recorder):
        def close(self) -> None:
            super().close()
            raise OSError("cannot close")

    sinks = [Recorder(), Stubborn(), Recorder()]
    with pytest.raises(OSError, match="cannot close"):
        run_stream(FakeSource(3), FakeModel(colour_contract), sinks)
    assert [sink.closed for sink in sinks] == [1, 1, 1]


def test_a_model_that_cannot_start_closes_source_and_outputs(colour_contract: Contract) -> None:
    def fail(_image: Image) -> None:
        raise MemoryError

    source, sink = FakeSource(3), Recorder()
    with pytest.raises(MemoryError):
        run_stream(source, FakeModel(colour_contract, fail), [sink])
    assert (source.closed, sink.closed) == (1, 1)


@by_whom
@pytest.mark.parametrize("lanes", [1, 4])
def test_the_limit_is_kept_to_the_frame(colour_contract: Contract, lanes: int, *, in_main_thread: bool) -> None:
    sink = Recorder(in_main_thread=in_main_thread)
    source = FakeSource(10_000, pause=0.0005)
    summary = run_stream(source, FakeModel(colour_contract), [sink], StreamOptions(lanes, limit=7))
    assert len(sink.frames) == summary.emitted == 7
    assert summary.ended == "limit"
    assert_balanced(summary)
    assert summary.captured == 7


@by_whom
def test_a_wanted_stop_ends_in_good_order(colour_contract: Contract, *, in_main_thread: bool) -> None:
    stop, sink = Stop(), Recorder(in_main_thread=in_main_thread)
    source = FakeSource(1_000_000, pause=0.001)
    threading.Timer(0.2, lambda: setattr(stop, "wanted", True)).start()
    summary = run_stream(source, FakeModel(colour_contract), [sink], StreamOptions(lanes=2), stop=stop)
    assert summary.ended == "interrupted"
    assert 0 < summary.emitted == len(sink.frames)
    assert_balanced(summary)
    assert sink.frames == list(range(summary.captured))  # what was read was written
    assert (sink.closed, source.closed, lane_threads()) == (1, 1, [])


@by_whom
def test_a_wanted_stop_does_not_wait_for_a_read_that_blocks(colour_contract: Contract, *, in_main_thread: bool) -> None:
    class Stalled(FakeSource):
        def read(self) -> Frame | None:
            if self._index == 3:
                release.wait(20)
            return super().read()

    release, stop, sink = threading.Event(), Stop(), Recorder(in_main_thread=in_main_thread)
    source = Stalled(10)
    threading.Timer(0.1, lambda: setattr(stop, "wanted", True)).start()
    started = time.monotonic()
    summary = run_stream(source, FakeModel(colour_contract), [sink], StreamOptions(lanes=usable_cores()), stop=stop)
    waited = time.monotonic() - started
    release.set()
    assert waited < 5  # the read would have blocked for 20
    assert summary.ended == "interrupted"
    assert sink.closed == 1
    assert_balanced(summary)


@by_whom
def test_an_output_whose_viewer_has_enough_ends_the_stream(colour_contract: Contract, *, in_main_thread: bool) -> None:
    sinks = [Recorder(), Recorder(enough_at=5), Recorder(in_main_thread=in_main_thread)]
    summary = run_stream(FakeSource(10_000), FakeModel(colour_contract), sinks, StreamOptions(lanes=2))
    assert summary.ended == "closed"
    assert [sink.frames for sink in sinks] == [list(range(6))] * 3
    assert_balanced(summary)


def test_outputs_are_looked_after_while_no_frame_comes(colour_contract: Contract) -> None:
    sink = Recorder()
    sink.patience = 0.01
    run_stream(FakeSource(2, pause=0.1), FakeModel(colour_contract), [sink])
    assert sink.idled >= 3


def test_the_watcher_sees_a_running_stream(colour_contract: Contract) -> None:
    seen: list[int] = []

    def watch(stats: StreamStats) -> None:
        seen.append(stats.emitted)

    run_stream(FakeSource(80, pause=0.02), FakeModel(colour_contract), [], watch=watch)
    assert seen
    assert 0 < seen[0] <= 80


def test_stage_times_are_the_lanes_own(colour_contract: Contract) -> None:
    summary = run_stream(FakeSource(5), FakeModel(colour_contract), [Recorder(pause=0.02)])
    assert tuple(summary.stages) == STAGES
    p50 = {name: spread.p50 for name, spread in summary.stages.items()}
    assert p50["preprocess"] == pytest.approx(0.001, rel=0.0115)
    assert p50["infer"] == pytest.approx(0.002, rel=0.0115)
    assert p50["decode"] == pytest.approx(0.003, rel=0.0115)
    assert p50["emit"] is not None
    assert p50["emit"] >= 0.0195


def test_opencvs_own_threads_are_given_back(colour_contract: Contract) -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    seen: list[int] = []
    try:
        for lanes in (1, 2):
            model = FakeModel(colour_contract, lambda _image: seen.append(cv2.getNumThreads()))
            run_stream(FakeSource(1), model, [], StreamOptions(lanes))
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
    assert set(seen[:2]) == {3}
    assert set(seen[2:]) == {1}


def test_there_is_a_lane_for_every_thread() -> None:
    assert default_lanes(threads=3) == 3
    assert default_lanes() == usable_cores()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lanes": 0}, "lanes"), ({"limit": 0}, "limit"), ({"opacity": 1.1}, "opacity"), ({"opacity": -0.1}, "opacity")],
)
def test_options_outside_what_is_allowed_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StreamOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("lanes", [1, 2])
def test_a_clip_through_a_real_engine_has_each_frames_own_mask(
    tmp_path: Path,
    colour_contract: Contract,
    tiny_model: TinyModel,
    colour_clip: ColourClip,
    engine: str,
    lanes: int,
) -> None:
    class Classes(Sink[list[int]]):
        def __init__(self) -> None:
            self.seen: list[list[int]] = []

        def encode(self, shot: Shot) -> list[int]:
            return [int(value) for value in np.unique(shot.result.mask)]

        def write(self, shot: Shot, encoded: list[int]) -> None:  # noqa: ARG002
            self.seen.append(encoded)

        def close(self) -> None:
            pass

    if engine == "openvino":
        pytest.importorskip("openvino")
    model = tiny_model(colour_contract, tmp_path / "model.onnx", stride=4)
    segmenter = Segmenter.load(model, engine=engine, lanes=lanes, threads=2)
    sink = Classes()
    source = open_source(str(colour_clip(tmp_path / "clip.mp4", 40)))
    summary = run_stream(source, segmenter, [sink], StreamOptions(lanes))
    assert sink.seen == [[index % 3] for index in range(40)]
    assert_balanced(summary)


@pytest.mark.realdata
@pytest.mark.parametrize(
    "clip",
    [
        "intel-sample-videos/car-detection.mp4",
        "torchcodec/h265_video.mp4",
        "torchcodec/nasa_13013.mp4",
        "with-ground-truth/davis_car-roundabout_854x480_24fps.mp4",
    ],
)
def test_real_clips_are_streamed_whole(
    tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel, clip: str
) -> None:
    path = Path(os.environ.get("EDGESEG_DATA", "../shared/data")) / "videos" / clip
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    segmenter = Segmenter.load(tiny_model(colour_contract, tmp_path / "model.onnx"), lanes=2)
    source, sink = open_source(str(path)), Recorder()
    summary = run_stream(source, segmenter, [sink], StreamOptions(lanes=2))
    assert sink.frames == list(range(source.length or 0))
    assert summary.remarks == ()
