from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from edgeseg_runtime.errors import ConfigError, LostFrameError, MissingExtraError, OutputError
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording import RecordOptions, RecordSink
from edgeseg_runtime.result import SemanticResult
from edgeseg_runtime.sinks.base import Shot

if TYPE_CHECKING:
    from tests.runtime.recording.conftest import FakeTime, Log, MakeShot, Read

CLASSES = ("road", "person", "traffic light")
Finished = Callable[[Path], list[Path]]


def record(sink: RecordSink, shots: list[Shot]) -> None:
    for shot in shots:
        sink.write(shot, sink.encode(shot))


def psnr(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize("size", [(97, 129), (96, 129), (97, 128)])
def test_an_odd_row_or_column_is_cut_off_and_nothing_else(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished, size: tuple[int, int]
) -> None:
    shots = [make_shot(i, i / 20, size=size, share=0.4) for i in range(5)]
    sink = RecordSink(RecordOptions(tmp_path, content="masks"), CLASSES, log.events)
    record(sink, shots)
    sink.close()
    (movie,) = map(read_av, finished(tmp_path))
    for shot, picture, mask in zip(shots, movie.pictures, movie.masks, strict=True):
        assert picture.shape == (96, 128, 3)
        assert psnr(picture, shot.frame.image[:96, :128]) > 30
        np.testing.assert_array_equal(mask, shot.result.mask[:96, :128])


def test_a_frame_too_small_to_encode_is_told_and_the_next_ones_are_recorded(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished, fake_time: FakeTime
) -> None:
    sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events, fake_time.clocks)
    for index in range(5):
        tiny = make_shot(index, index / 20)
        with pytest.raises(LostFrameError, match="not recorded: a frame of 1×1"):
            sink.write(_shrunk(tiny), False)
    assert [event.kind for event in log.seen] == ["record.started", "record.failed"]
    assert "1×1" in log.seen[-1].data["reason"]
    fake_time.monotonic += 60
    record(sink, [make_shot(i, i / 20) for i in range(5, 15)])
    sink.close()
    assert [number for path in finished(tmp_path) for number in read_av(path).numbers] == list(range(5, 15))


def _shrunk(shot: Shot) -> Shot:
    frame = replace(shot.frame, image=shot.frame.image[:1, :1].copy())
    result = SemanticResult(shot.result.mask[:1, :1].copy(), shot.result.contract, shot.result.times)
    return Shot(frame, result, np.zeros((256, 1, 3), np.uint8), 0.0)


def test_a_file_that_somebody_put_in_the_way_is_not_overwritten(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished, fake_time: FakeTime
) -> None:
    sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events, fake_time.clocks)
    record(sink, [make_shot(i, i / 20) for i in range(10)])
    name = sink.status()[""].segment
    assert name is not None
    (tmp_path / name).write_text("mine")
    sink.close()
    assert (tmp_path / name).read_text() == "mine"
    assert log.of("record.failed")[0].data["reason"].startswith("File exists")
    RecordSink(RecordOptions(tmp_path), CLASSES, log.events, fake_time.clocks).close()
    (recovered,) = [path for path in finished(tmp_path) if path.name != name]
    assert read_av(recovered).numbers == list(range(10))


def test_without_a_frame_there_is_no_file_and_closing_twice_is_no_harm(tmp_path: Path, log: Log) -> None:
    sink = RecordSink(RecordOptions(tmp_path / "a" / "b"), CLASSES, log.events)
    sink.idle()
    sink.close()
    sink.close()
    sink.idle()
    assert list((tmp_path / "a" / "b").iterdir()) == []
    assert log.seen == []


def test_after_closing_nothing_more_is_recorded(
    tmp_path: Path, make_shot: MakeShot, log: Log, finished: Finished
) -> None:
    sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events)
    record(sink, [make_shot(0, 0.0)])
    sink.close()
    record(sink, [make_shot(1, 0.1)])
    sink.close()
    assert len(list(tmp_path.iterdir())) == len(finished(tmp_path)) == 1


def test_a_disk_that_hangs_holds_closing_up_for_a_bounded_time(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = threading.Event()
    sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events)
    record(sink, [make_shot(i, i / 20) for i in range(10)])
    monkeypatch.setattr("edgeseg_runtime.recording.sink.CLOSE_SECONDS", 0.2)
    monkeypatch.setattr("edgeseg_runtime.recording.partial.os.fsync", lambda _file: hang.wait(60))
    started = time.monotonic()
    sink.close()
    assert 0.2 <= time.monotonic() - started < 20
    assert finished(tmp_path) == []
    assert len(list(tmp_path.glob(".*.partial"))) == 1
    monkeypatch.undo()
    hang.set()
    for thread in threading.enumerate():
        if thread.name == "edgeseg-record-close":
            thread.join(20)
    assert read_av(finished(tmp_path)[0]).numbers == list(range(10))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segment_seconds": 0.5}, "segment_seconds must be 1 to 3600 s, got 0.5"),
        ({"pre_roll": -1.0}, "pre_roll must be 0 to 3600 s"),
        ({"post_roll": float("nan")}, "post_roll must be 0 to 3600 s, got nan"),
        ({"quota_bytes": 0}, "quota_bytes must be at least 1"),
        ({"quality": 52}, "quality must be 1"),
        ({"content": "both"}, "content must be one of overlay, masks, got 'both'"),
        ({"clock": "wall"}, "clock must be one of captured, position"),
    ],
)
def test_settings_outside_what_is_allowed_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecordOptions(tmp_path, **settings)


def test_what_cannot_be_recorded_to_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file cannot be recorded to: File exists"):
        RecordSink(RecordOptions(tmp_path / "file"), CLASSES, Events())
    with pytest.raises(ConfigError, match="'dog'"):
        RecordSink(RecordOptions(tmp_path, "dog>5%"), CLASSES, Events())

    def lacks(name: str, _mode: str) -> None:
        raise ValueError(name)

    monkeypatch.setattr(av.codec, "Codec", lacks)
    with pytest.raises(OutputError, match=r"H\.264 encoder libx264, which this build of PyAV lacks"):
        RecordSink(RecordOptions(tmp_path), CLASSES, Events())
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"edgeseg\[live\]"):
        RecordSink(RecordOptions(tmp_path), CLASSES, Events())
