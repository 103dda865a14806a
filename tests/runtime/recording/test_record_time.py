from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.recording import RecordOptions, RecordSink
from edgeseg_runtime.sinks.base import Shot

if TYPE_CHECKING:
    from tests.runtime.recording.conftest import FakeTime, Log, MakeShot, Read

CLASSES = ("road", "person", "traffic light")
Finished = Callable[[Path], list[Path]]


def record(sink: RecordSink, shots: list[Shot]) -> None:
    for shot in shots:
        sink.write(shot, sink.encode(shot))


def uneven_times(count: int, start: float = 500.0) -> list[float]:
    """A camera of 25 frames a second of which some are dropped."""
    gaps = np.random.default_rng(3).choice([0.04, 0.04, 0.08, 0.2, 0.36], count)
    return [start + float(at) for at in np.cumsum(gaps)]


def test_frames_at_a_nominal_rate_would_run_at_a_false_pace(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    """Negative control: number ÷ rate, as a writer with a fixed rate has it, is off by seconds."""
    times = uneven_times(60)
    sink = RecordSink(RecordOptions(tmp_path, segment_seconds=60), CLASSES, log.events)
    record(sink, [make_shot(index, at) for index, at in enumerate(times)])
    sink.close()
    (movie,) = map(read_av, finished(tmp_path))
    assert max(abs(at - (true - times[0])) for at, true in zip(movie.times, times, strict=True)) < 0.001
    assert max(abs(number / 25 - (true - times[0])) for number, true in enumerate(times)) > 2


def test_another_size_other_classes_or_time_run_back_begin_a_new_segment(
    tmp_path: Path, make_shot: MakeShot, read: Read, log: Log, finished: Finished
) -> None:
    renamed = (Label("sea", (0, 0, 200)), Label("person", (220, 20, 60)))
    shots = [make_shot(i, 50 + i / 20) for i in range(10)]
    shots += [make_shot(i, 50 + i / 20, size=(64, 160)) for i in range(10, 20)]
    shots += [make_shot(i, 50 + i / 20, size=(64, 160), labels=renamed) for i in range(20, 30)]
    shots += [make_shot(i, i / 20, size=(64, 160), labels=renamed) for i in range(30, 40)]
    sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events)
    record(sink, shots)
    sink.close()
    movies = [read(path) for path in finished(tmp_path)]
    assert [movie.numbers for movie in movies] == [list(range(at, at + 10)) for at in (0, 10, 20, 30)]
    assert [movie.pictures[0].shape for movie in movies] == [(96, 128, 3)] + [(64, 160, 3)] * 3
    assert log.kinds.count("record.started") == 1


def test_frames_of_one_moment_are_all_kept(
    tmp_path: Path, make_shot: MakeShot, read: Read, log: Log, finished: Finished
) -> None:
    sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events)
    record(sink, [make_shot(i, at) for i, at in enumerate([5.0, 5.0, 5.0, 5.1, 5.05, 5.2])])
    sink.close()
    (movie,) = map(read, finished(tmp_path))
    assert movie.numbers == list(range(6))
    assert all(after >= before for before, after in pairwise(movie.times))


def test_the_wall_clock_may_jump_by_an_hour_either_way(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished, fake_time: FakeTime
) -> None:
    """Nothing is overwritten, lost or cut otherwise; names tell the clock's time, their numbers the true order."""
    sink = RecordSink(RecordOptions(tmp_path, segment_seconds=1), CLASSES, log.events, fake_time.clocks)
    jumps = {25: -3600.0, 45: -3600.0 * 2, 65: 3600.0 * 3, 85: -3600.0}
    for i in range(120):
        fake_time.wall += 0.05 + jumps.get(i, 0.0)
        record(sink, [make_shot(i, i / 20)])
    sink.close()
    files = sorted(tmp_path.iterdir(), key=lambda path: path.name.split("_")[-1])
    assert len(files) == 6
    assert [number for path in files for number in read_av(path).numbers] == list(range(120))
    stamps = [path.name.split("_")[0] for path in files]
    assert stamps != sorted(stamps)  # the clock did jump


def test_restarts_at_the_very_same_wall_time_overwrite_nothing(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished, fake_time: FakeTime
) -> None:
    for run in range(3):
        sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events, fake_time.clocks)
        record(sink, [make_shot(10 * run + i, float(i) / 20) for i in range(10)])
        sink.close()
    assert [read_av(path).numbers[0] for path in finished(tmp_path)] == [0, 10, 20]


def test_positions_in_a_file_may_be_the_time(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    sink = RecordSink(RecordOptions(tmp_path, clock="position"), CLASSES, log.events)
    record(sink, [make_shot(i, 900 + i / 1000, position=i / 10) for i in range(30)])
    with pytest.raises(OutputError, match="000030 has no place in time"):
        record(sink, [make_shot(30, 901.0)])
    sink.close()
    (movie,) = map(read_av, finished(tmp_path))
    np.testing.assert_allclose(movie.times, [i / 10 for i in range(30)], atol=1e-4)
