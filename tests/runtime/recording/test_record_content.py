from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from edgeseg_runtime.recording import RecordOptions, RecordSink
from edgeseg_runtime.sinks.base import Shot

if TYPE_CHECKING:
    from tests.runtime.recording.conftest import Log, MakeShot, Read

CLASSES = ("road", "person", "traffic light")
Finished = Callable[[Path], list[Path]]


def record(sink: RecordSink, shots: list[Shot]) -> None:
    for shot in shots:
        sink.write(shot, sink.encode(shot))


def psnr(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def uneven_times(count: int, start: float = 500.0) -> list[float]:
    """A camera of 25 frames a second of which some are dropped."""
    gaps = np.random.default_rng(3).choice([0.04, 0.04, 0.08, 0.2, 0.36], count)
    return [start + float(at) for at in np.cumsum(gaps)]


def test_every_frame_is_there_once_at_its_time_and_looks_right(
    tmp_path: Path, make_shot: MakeShot, read: Read, log: Log, finished: Finished
) -> None:
    times = uneven_times(120)
    shots = [make_shot(index, at, opacity=0.4, share=0.3) for index, at in enumerate(times)]
    sink = RecordSink(RecordOptions(tmp_path, segment_seconds=3.0), CLASSES, log.events)
    record(sink, shots)
    sink.close()
    files = finished(tmp_path)
    assert len(files) >= 4
    movies = [read(path) for path in files]
    assert [number for movie in movies for number in movie.numbers] == list(range(120))
    for movie in movies:
        first = times[movie.numbers[0]]
        for number, at, picture in zip(movie.numbers, movie.times, movie.pictures, strict=True):
            assert abs(at - (times[number] - first)) < 0.0011
            assert psnr(picture, shots[number].picture) > 30
        assert movie.times[-1] < 3.0
    assert [event.data["frames"] for event in log.of("record.segment")] == [len(movie.numbers) for movie in movies]
    assert [event.data["bytes"] for event in log.of("record.segment")] == [path.stat().st_size for path in files]
    assert [event.data["name"] for event in log.of("record.segment")] == [path.name for path in files]
    assert log.kinds[0] == "record.started"
    assert log.kinds[-1] == "record.stopped"
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in files]


def test_each_segment_is_an_ordinary_mp4_that_can_be_sought_in(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    sink = RecordSink(RecordOptions(tmp_path, segment_seconds=4), CLASSES, log.events)
    record(sink, [make_shot(index, index / 20, camera="front door") for index in range(160)])
    sink.close()
    for path in finished(tmp_path):
        assert b"moof" not in path.read_bytes()[:60]
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert stream.frames == 80
            assert container.duration == pytest.approx(4_000_000, abs=2)
            about = json.loads(container.metadata["comment"])
            assert about["camera"] == "front door"
            assert [one["name"] for one in about["classes"]] == list(CLASSES)
            keys = [(packet.pts or 0) / 90_000 for packet in container.demux(stream) if packet.is_keyframe]
            assert keys == [0, 1, 2, 3]
    assert [path.name.split("_")[1] for path in finished(tmp_path)] == ["front-door"] * 2


def test_masks_are_kept_without_loss_beside_the_plain_picture(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    shots = [make_shot(index, index / 10, share=index / 40, opacity=0.5, masked=index != 7) for index in range(40)]
    sink = RecordSink(RecordOptions(tmp_path, segment_seconds=2, content="masks"), CLASSES, log.events)
    record(sink, shots)
    sink.close()
    movies = [read_av(path) for path in finished(tmp_path)]
    masks = [mask for movie in movies for mask in movie.masks]
    assert len(masks) == len(shots)
    for mask, shot in zip(masks, shots, strict=True):
        np.testing.assert_array_equal(mask, shot.result.mask)
    for picture, shot in zip([one for movie in movies for one in movie.pictures], shots, strict=True):
        assert psnr(picture, shot.frame.image) > 30
        assert psnr(picture, shot.picture) < 25  # not the annotated one
