"""Disks that are full, gone, or no longer to be written to: real ones where this machine lets us make them."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from edgeseg_runtime.recording import RecordOptions, RecordSink
from edgeseg_runtime.recording.backoff import LONGEST, Backoff
from edgeseg_runtime.recording.muxer import Written
from edgeseg_runtime.recording.partial import PartialFile
from tests.runtime.recording.conftest import offer

if TYPE_CHECKING:
    from tests.runtime.recording.conftest import FakeTime, Log, MakeShot, Read

ROOT = Path(__file__).parents[3]
CLASSES = ("road", "person", "traffic light")
DISK_BYTES = 8 << 20
Finished = Callable[[Path], list[Path]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"this machine lets us mount nothing: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, leave: int) -> Path:
    """Fill the disk until only `leave` bytes are free."""
    filler = place / "filler"
    room = os.statvfs(place)
    filler.write_bytes(bytes(room.f_bavail * room.f_frsize - leave))
    return filler


def test_a_full_disk_is_told_at_once_loses_nothing_written_and_is_used_again_once_there_is_room(
    small_disk: Path, make_shot: MakeShot, read: Read, log: Log, finished: Finished, fake_time: FakeTime
) -> None:
    options = RecordOptions(small_disk / "rec", segment_seconds=1)
    sink = RecordSink(options, CLASSES, log.events, fake_time.clocks)
    filler = fill(small_disk, 900_000)
    failed_at = None
    taken: list[bool] = []
    for index in range(200):  # 10 s; noise takes about 20 kB a frame
        fake_time.monotonic += 0.05
        fake_time.wall += 0.05
        taken.append(offer(sink, make_shot(index, index / 20, noise=True)))
        if failed_at is None and log.of("record.failed"):
            failed_at = index
    assert failed_at is not None
    (failed,) = log.of("record.failed")  # no storm
    assert failed.data["reason"].startswith("No space left on device")
    assert sink.status()[""].failing == failed.data["reason"]
    before = [number for path in finished(options.folder) for number in read(path).numbers]
    assert before == list(range(len(before)))
    assert 5 <= len(before) <= failed_at
    assert (failed_at - len(before)) / 20 <= 1  # the event came within a second of the first frame lost
    assert not list(options.folder.glob(".*.partial"))
    assert taken == [index < failed_at for index in range(200)]  # what is not recorded is not called written

    filler.unlink()
    for index in range(200, 450):
        fake_time.monotonic += 0.05
        fake_time.wall += 0.05
        taken.append(offer(sink, make_shot(index, index / 20)))
    assert log.kinds.count("record.resumed") == 1
    assert sink.status()[""].failing is None
    sink.close()
    numbers = [number for path in finished(options.folder) for number in read(path).numbers]
    after = numbers[len(before) :]
    assert after == list(range(after[0], 450))
    assert (after[0] - 200) / 20 <= LONGEST + 0.1
    resumed_at = taken.index(True, 200)
    assert all(taken[resumed_at:])
    assert 0 <= resumed_at - after[0] <= 20  # up to a second of what was refused is saved


def test_a_plain_mp4_on_a_full_disk_has_no_readable_frame(small_disk: Path, make_shot: MakeShot, read: Read) -> None:
    """Negative control."""
    fill(small_disk, 900_000)
    path = small_disk / "plain.mp4"
    container = av.open(str(path), "w")
    stream = container.add_stream("libx264", rate=20, width=128, height=96, options={"tune": "zerolatency"})
    with pytest.raises(OSError, match="No space left"):
        for index in range(200):
            picture = make_shot(index, 0.0, noise=True).picture
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.close()
    assert path.stat().st_size > 500_000
    try:
        numbers = read(path).numbers
    except (OSError, ValueError):
        numbers = []
    assert numbers == []


def test_a_disk_that_fills_up_within_a_file_s_end_keeps_the_file(
    small_disk: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    """The index does not fit any more: the segment stays fragmented, and plays."""
    options = RecordOptions(small_disk / "rec", segment_seconds=60)
    sink = RecordSink(options, CLASSES, log.events)
    for index in range(20):
        sink.write(make_shot(index, index / 20, noise=True), False)
    fill(small_disk, 0)
    sink.close()
    assert log.kinds == ["record.started", "record.failed", "record.segment", "record.stopped"]
    (path,) = finished(options.folder)
    assert read_av(path).numbers == list(range(19))


LIMITED = """
import resource, sys
from pathlib import Path
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording import RecordOptions, RecordSink
from tests.runtime.recording.conftest import _make_shot, offer

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
events = Events()
events.subscribe(lambda event: print(event.kind, event.data.get("reason", ""), flush=True))
sink = RecordSink(RecordOptions(Path(sys.argv[1]), segment_seconds=60), ("road", "person"), events)
for index in range(60):
    offer(sink, _make_shot(index, index / 20, noise=True))
sink.close()
"""


def test_a_file_that_may_not_grow_is_closed_in_good_order(tmp_path: Path, read_av: Read, finished: Finished) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "runtime"), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, env=environment, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("record.started")
    assert lines[1].startswith("record.failed File too large")
    assert lines[2].startswith("record.segment")
    numbers = read_av(finished(tmp_path)[0]).numbers
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 5


def test_a_folder_that_is_deleted_is_told_and_not_made_again_behind_the_users_back(
    tmp_path: Path,
    make_shot: MakeShot,
    read_av: Read,
    log: Log,
    finished: Finished,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "disk" / "rec"
    monkeypatch.setattr("edgeseg_runtime.recording.partial.LOOK_SECONDS", 0.0)
    sink = RecordSink(RecordOptions(folder), CLASSES, log.events, fake_time.clocks)
    for index in range(10):
        sink.write(make_shot(index, index / 20), False)
    shutil.rmtree(folder)
    for index in range(10, 60):
        fake_time.monotonic += 0.5
        offer(sink, make_shot(index, index / 20))
    (failed,) = log.of("record.failed")
    assert failed.data["reason"].startswith("No such file or directory")
    assert not folder.exists()
    folder.mkdir()  # the disk is back
    for index in range(60, 100):
        fake_time.monotonic += 0.5
        offer(sink, make_shot(index, index / 20))
    sink.close()
    assert log.kinds.count("record.resumed") == 1
    numbers = [number for path in finished(folder) for number in read_av(path).numbers]
    assert numbers == list(range(numbers[0], 100))
    assert numbers[0] <= 60 + 2 * LONGEST


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording import RecordOptions, RecordSink
from edgeseg_runtime.recording.writer import Clocks
from tests.runtime.recording.conftest import _make_shot, offer

folder, now = Path(sys.argv[1]), [0.0]
_make_shot(0, 0.0)
sink = None
events = Events()
events.subscribe(lambda event: print(event.kind, event.data.get("reason", ""), flush=True))
clocks = Clocks(monotonic=lambda: now[0])
if os.geteuid() == 0:
    os.chown(folder, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
sink = RecordSink(RecordOptions(folder, segment_seconds=1), ("road", "person"), events, clocks)
for index in range(200):
    now[0] = index / 20
    if index in (30, 100):
        folder.chmod(0o500 if index == 30 else 0o700)
    offer(sink, _make_shot(index, index / 20))
sink.close()
"""


def test_a_permission_that_is_lost_and_given_back(tmp_path: Path, read_av: Read, finished: Finished) -> None:
    """The segment that could not be given its name gets it later; nothing that was written is lost."""
    folder = tmp_path / "rec"
    folder.mkdir()
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "runtime"), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    kinds = [line.split(" ")[0] for line in done.stdout.splitlines()]
    failures = [line for line in done.stdout.splitlines() if line.startswith("record.failed")]
    assert all("Permission denied" in line for line in failures)
    assert len(failures) == 1
    assert kinds.count("record.recovered") == kinds.count("record.resumed") == 1
    numbers = sorted(number for path in finished(folder) for number in read_av(path).numbers)
    assert numbers == sorted(set(numbers))
    assert set(range(40)) <= set(numbers)
    assert set(range(160, 200)) <= set(numbers)
    assert not list(folder.glob(".*.partial"))


def test_tries_grow_rarer_and_begin_anew_after_a_good_while(fake_time: FakeTime) -> None:
    backoff = Backoff(fake_time.clocks.monotonic)
    waits = []
    for _ in range(7):
        assert backoff.ready
        backoff.failed()
        began = fake_time.monotonic
        while not backoff.ready:
            fake_time.monotonic += 0.125
        waits.append(fake_time.monotonic - began)
    assert waits == [0.5, 1, 2, 4, 8, 10, 10]
    backoff.worked()
    fake_time.monotonic += LONGEST - 1  # a disk that is full again at once is not tried more often
    backoff.failed()
    assert not backoff.ready
    fake_time.monotonic += 9.9
    assert not backoff.ready
    fake_time.monotonic += 0.1
    backoff.worked()
    fake_time.monotonic += LONGEST
    backoff.worked()
    backoff.failed()
    fake_time.monotonic += 0.5
    assert backoff.ready


def test_a_disk_that_fails_for_long_is_tried_seldom_and_told_once(
    tmp_path: Path, make_shot: MakeShot, log: Log, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events, fake_time.clocks)
    tries = []

    def refuse(_file: PartialFile, _folder: Path, name: str) -> None:
        tries.append(name)
        raise OSError(5, "Input/output error", name[-10:-10])

    monkeypatch.setattr(PartialFile, "__init__", refuse)
    for index in range(240):  # a minute
        fake_time.monotonic += 0.25
        assert not offer(sink, make_shot(index, index / 4))
    assert len(tries) <= 5 + 60 / LONGEST
    assert log.kinds == ["record.started", "record.failed"]
    sink.close()
    assert log.kinds == ["record.started", "record.failed", "record.stopped"]


def test_a_disk_that_takes_frames_for_a_moment_now_and_then_is_told_of_once(
    tmp_path: Path, make_shot: MakeShot, log: Log, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else fills it up again at once: 20 s of that, then there is room."""
    sink = RecordSink(RecordOptions(tmp_path), CLASSES, log.events, fake_time.clocks)
    put, left = PartialFile.write, [0]

    def write(file: PartialFile, written: Written) -> None:
        left[0] -= 1
        if left[0] < 0:
            left[0] = 40  # which the next try may write: a second that was held back, and one more
            raise OSError(28, os.strerror(28), str(tmp_path))
        put(file, written)

    monkeypatch.setattr(PartialFile, "write", write)
    taken = []
    for index in range(400):
        fake_time.monotonic += 0.05
        taken.append(offer(sink, make_shot(index, index / 20)))
    assert sum(one and not before for before, one in itertools.pairwise(taken)) >= 2  # it did go to and fro
    assert log.kinds.count("record.failed") == 1 and "record.resumed" not in log.kinds
    left[0] = 10**9
    for index in range(400, 700):
        fake_time.monotonic += 0.05
        offer(sink, make_shot(index, index / 20))
    assert sink.status()[""].failing is None
    sink.close()
    assert log.kinds.count("record.failed") == log.kinds.count("record.resumed") == 1
    assert log.kinds.index("record.failed") < log.kinds.index("record.resumed")
