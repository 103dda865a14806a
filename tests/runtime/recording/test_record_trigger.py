from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeseg_runtime.recording import RecordOptions, RecordSink
from edgeseg_runtime.sinks.base import Shot

if TYPE_CHECKING:
    from tests.runtime.recording.conftest import FakeTime, Log, MakeShot, Read

CLASSES = ("road", "person", "traffic light")
Finished = Callable[[Path], list[Path]]


def record(sink: RecordSink, shots: list[Shot]) -> None:
    for shot in shots:
        sink.write(shot, sink.encode(shot))


def test_a_trigger_keeps_what_came_before_it_and_a_while_after(
    tmp_path: Path, make_shot: MakeShot, read: Read, log: Log, finished: Finished
) -> None:
    """A person in frames 200-209 and, within the post-roll, in 230; 20 frames a second."""
    shots = [make_shot(i, i / 20, share=0.2 if 200 <= i < 210 or i == 230 else 0.0) for i in range(400)]
    options = RecordOptions(tmp_path, "person>5%", segment_seconds=4, pre_roll=3, post_roll=2)
    sink = RecordSink(options, CLASSES, log.events)
    record(sink, shots)
    sink.close()
    numbers = [number for path in finished(tmp_path) for number in read(path).numbers]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert 200 - 80 <= numbers[0] <= 200 - 60  # 3 to 4 s before
    assert numbers[-1] == 230 + 40  # 2 s after it last held
    started, stopped = log.of("record.started"), log.of("record.stopped")
    assert len(started) == len(stopped) == 1
    assert started[0].data == {"trigger": "person>5%", "pre_roll": (200 - numbers[0]) / 20}


def test_without_pre_roll_the_recording_begins_with_the_trigger(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    """Negative control for the one above."""
    options = RecordOptions(tmp_path, "person>5%", pre_roll=0, post_roll=0)
    sink = RecordSink(options, CLASSES, log.events)
    record(sink, [make_shot(i, i / 20, share=0.2 if 30 <= i < 40 else 0.0) for i in range(60)])
    sink.close()
    assert [read_av(path).numbers for path in finished(tmp_path)] == [list(range(30, 40))]


def test_two_recordings_close_together_share_no_frame(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    options = RecordOptions(tmp_path, "person>5%", pre_roll=3, post_roll=0.5)
    sink = RecordSink(options, CLASSES, log.events)
    record(sink, [make_shot(i, i / 20, share=0.2 if i in (100, 130) else 0.0) for i in range(200)])
    sink.close()
    first, second = (read_av(path).numbers for path in finished(tmp_path))
    assert first[-1] == 110
    assert second == list(range(111, 141))  # the pre-roll reaches back to where the first one ended


def test_without_a_mask_no_condition_holds(tmp_path: Path, make_shot: MakeShot, log: Log) -> None:
    sink = RecordSink(RecordOptions(tmp_path, "person<5%"), CLASSES, log.events)
    assert sink.encode(make_shot(0, 0.0, share=0.0))
    assert not sink.encode(make_shot(0, 0.0, masked=False))
    assert sink.classes == {"person"}
    sink.close()


def test_start_and_stop_come_from_another_thread(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    sink = RecordSink(RecordOptions(tmp_path, "manual", pre_roll=1, segment_seconds=60), CLASSES, log.events)

    def order(action: Callable[[], None]) -> None:
        thread = threading.Thread(target=action)
        thread.start()
        thread.join()

    record(sink, [make_shot(i, i / 20) for i in range(100)])
    assert list(tmp_path.iterdir()) == []
    assert not sink.status()[""].recording
    order(sink.start)
    record(sink, [make_shot(i, i / 20) for i in range(100, 140)])
    status = sink.status()[""]
    assert status.recording
    assert status.segment is not None
    assert (tmp_path / f".{status.segment}.partial").exists()
    assert 2.9 <= status.seconds <= 4
    order(sink.stop)
    record(sink, [make_shot(i, i / 20) for i in range(140, 160)])
    assert log.kinds == ["record.started", "record.segment", "record.stopped"]
    (path,) = finished(tmp_path)
    numbers = read_av(path).numbers
    assert 60 <= numbers[0] <= 80
    assert numbers == list(range(numbers[0], 140))
    sink.close()
    assert log.kinds.count("record.stopped") == 1


@pytest.mark.slow
def test_many_orders_while_frames_come_leave_no_frame_twice(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    sink = RecordSink(RecordOptions(tmp_path, "manual", pre_roll=1), CLASSES, log.events)
    over = threading.Event()

    def order() -> None:
        while not over.is_set():
            sink.start()
            sink.status()
            sink.stop("")

    thread = threading.Thread(target=order)
    thread.start()
    record(sink, [make_shot(i, i / 20) for i in range(300)])
    over.set()
    thread.join()
    sink.start()
    record(sink, [make_shot(i, i / 20) for i in range(300, 310)])
    sink.close()
    numbers = [number for path in finished(tmp_path) for number in read_av(path).numbers]
    assert numbers == sorted(set(numbers))
    assert numbers[-10:] == list(range(300, 310))
    assert log.kinds.count("record.started") == log.kinds.count("record.stopped")


def test_several_cameras_have_files_and_triggers_of_their_own(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    options = RecordOptions(tmp_path, "person>5%", pre_roll=0, post_roll=0)
    sink = RecordSink(options, CLASSES, log.events)
    for i in range(40):
        for camera, share in (("east", 0.3 if i >= 30 else 0.0), ("west", 0.3 if i < 10 else 0.0)):
            record(sink, [make_shot(i, i / 20, camera=camera, share=share)])
    sink.close()
    found = {path.name.split("_")[1]: read_av(path).numbers for path in finished(tmp_path)}
    assert found == {"east": list(range(30, 40)), "west": list(range(10))}
    assert {event.source for event in log.seen} == {"east", "west"}


def test_when_no_frame_comes_what_is_due_is_closed(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished, fake_time: FakeTime
) -> None:
    options = RecordOptions(tmp_path, "person>5%", post_roll=5.5, pre_roll=0, segment_seconds=3)
    sink = RecordSink(options, CLASSES, log.events, fake_time.clocks)
    record(sink, [make_shot(i, i / 20, share=0.3) for i in range(20)])
    for kinds in (
        ["record.started"],
        ["record.started"],
        ["record.started"],
        ["record.started", "record.segment"],
        ["record.started", "record.segment"],
        ["record.started", "record.segment", "record.stopped"],
    ):
        fake_time.monotonic += 1.0
        sink.idle()
        assert log.kinds == kinds
    assert read_av(finished(tmp_path)[0]).numbers == list(range(20))
    sink.close()
