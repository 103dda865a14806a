from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording import RecordOptions, RecordSink
from edgeseg_runtime.recording.names import partial_name, segment_name
from edgeseg_runtime.recording.shelf import Shelf

if TYPE_CHECKING:
    from tests.runtime.recording.conftest import Log, MakeShot, Read

CLASSES = ("road", "person", "traffic light")
Finished = Callable[[Path], list[Path]]


@pytest.fixture
def cut_off(tmp_path: Path, make_shot: MakeShot) -> bytes:
    """What a process that was killed after 30 frames leaves: no index, 29 whole fragments."""
    folder = tmp_path / "elsewhere"
    sink = RecordSink(RecordOptions(folder), CLASSES, Events())
    for index in range(30):
        sink.write(make_shot(index, index / 20), False)
    (path,) = folder.iterdir()
    data = path.read_bytes()
    sink.close()
    return data


def leave(folder: Path, number: int, data: bytes) -> Path:
    path = folder / partial_name(segment_name(1_800_000_000 + number, "", number))
    path.write_bytes(data)
    return path


def test_what_a_killed_run_left_is_finished_up_to_any_byte(
    tmp_path: Path, cut_off: bytes, read: Read, log: Log, finished: Finished
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    lengths = [len(cut_off) * part // 8 for part in range(9)]
    for number, length in enumerate(lengths, 1):
        leave(folder, number, cut_off[:length])
    Shelf(folder, None, log.events).recover()
    counts = []
    for path in finished(folder):
        numbers = read(path).numbers
        assert numbers == list(range(len(numbers)))
        counts.append(len(numbers))
    assert counts == sorted(counts)
    assert counts[-1] == 29
    assert len(counts) == len(log.of("record.recovered")) >= 7
    assert len(log.of("record.discarded")) == len(lengths) - len(counts) >= 1
    assert len(list(folder.iterdir())) == len(counts)


def test_what_cannot_be_decoded_is_kept_aside(tmp_path: Path, cut_off: bytes, log: Log, finished: Finished) -> None:
    broken = bytearray(cut_off)
    start = broken.index(b"avcC")
    broken[start + 4 : start + 40] = bytes(36)
    leave(tmp_path, 3, bytes(broken))
    Shelf(tmp_path, None, log.events).recover()
    assert finished(tmp_path) == []
    (event,) = log.seen
    assert event.kind == "record.discarded"
    assert event.data["reason"] == "it cannot be decoded"
    assert (tmp_path / event.data["name"]).exists()
    assert event.data["name"].endswith("_000003.mp4.damaged")


def test_a_name_that_is_taken_is_not_overwritten(tmp_path: Path, cut_off: bytes, log: Log, finished: Finished) -> None:
    leave(tmp_path, 3, cut_off)
    taken = tmp_path / segment_name(1_800_000_003, "", 3)
    taken.write_bytes(b"mine")
    Shelf(tmp_path, None, log.events).recover()
    assert taken.read_bytes() == b"mine"
    assert [path.name[-10:] for path in finished(tmp_path)] == ["000003.mp4", "000004.mp4"]


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path, cut_off: bytes, log: Log) -> None:
    path = leave(tmp_path, 3, cut_off)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        Shelf(tmp_path, None, log.events).recover()
        assert path.read_bytes() == cut_off
        assert log.seen == []
    Shelf(tmp_path, None, log.events).recover()
    assert log.kinds == ["record.recovered"]


def test_two_recorders_in_one_folder_do_not_disturb_each_other(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    options = RecordOptions(tmp_path, segment_seconds=1)
    first = RecordSink(options, CLASSES, log.events)
    for index in range(10):
        first.write(make_shot(index, index / 20), False)
    second = RecordSink(options, CLASSES, log.events)
    for index in range(10, 60):
        first.write(make_shot(index, index / 20), False)
        second.write(make_shot(100 + index, index / 20), False)
    first.close()
    second.close()
    numbers = sorted(number for path in finished(tmp_path) for number in read_av(path).numbers)
    assert numbers == [*range(60), *range(110, 160)]
    assert not log.of("record.failed")


SIZES = st.lists(st.integers(0, 400), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(sizes=SIZES, quota=st.integers(1, 2000), growing=st.integers(0, 500))
def test_the_quota_takes_the_oldest_and_no_more_than_it_must(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], quota: int, growing: int
) -> None:
    """Against brute force: the longest run of newest segments that fits."""
    folder = tmp_path_factory.mktemp("quota")
    seen: list[str] = []
    events = Events()
    events.subscribe(lambda event: seen.append(event.data["name"]))
    names = []
    for number, size in enumerate(sizes, 1):
        # the clock is put back again and again: numbers tell the order, names do not
        name = segment_name(1_800_000_000 + (number * 7919) % 3600, "", number)
        (folder / name).write_bytes(bytes(size))
        names.append(name)
    (folder / partial_name(segment_name(1_800_000_000, "", 999))).write_bytes(bytes(growing))
    Shelf(folder, quota, events).prune()
    fits = [kept for kept in range(len(sizes) + 1) if sum(sizes[len(sizes) - kept :]) + growing <= quota]
    most = max(fits, default=0)
    kept = {path.name for path in folder.glob("*.mp4")}
    # empty files at the border cost nothing either way; only what frees room is deleted
    assert kept >= set(names[len(names) - most :])
    assert sum(size for name, size in zip(names, sizes, strict=True) if name in kept) + growing <= quota or not kept
    assert seen == [name for name in names if name not in kept]
    assert len(list(folder.glob(".*.partial"))) == 1


def test_the_quota_counts_and_deletes_nothing_that_is_not_its_own(tmp_path: Path, log: Log) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    precious = outside / segment_name(1_700_000_000, "", 1)
    precious.write_bytes(bytes(500))
    folder = tmp_path / "folder"
    folder.mkdir()
    foreign = ["holiday.mp4", "notes.txt", segment_name(1_700_000_000, "", 2) + ".damaged", "x_000001.mp4"]
    for name in foreign:
        (folder / name).write_bytes(bytes(500))
    (folder / segment_name(1_700_000_000, "", 3)).symlink_to(precious)
    (folder / segment_name(1_700_000_000, "", 4)).mkdir()
    os.link(folder / "notes.txt", folder / "link.txt")
    own = [folder / segment_name(1_800_000_000, "", number) for number in (5, 6)]
    for path in own:
        path.write_bytes(bytes(100))
    before = {path.name for path in folder.iterdir()}
    Shelf(folder, 150, log.events).prune()
    assert before - {path.name for path in folder.iterdir()} == {own[0].name}
    assert precious.stat().st_size == 500
    assert [(event.kind, event.data["bytes"]) for event in log.seen] == [("record.pruned", 100)]


def test_links_that_look_like_leftovers_are_not_followed(tmp_path: Path, cut_off: bytes, log: Log) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(cut_off + b"more")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / partial_name(segment_name(1_800_000_000, "", 3))).symlink_to(precious)
    Shelf(folder, None, log.events).recover()
    assert log.seen == []
    assert precious.read_bytes() == cut_off + b"more"


def test_a_running_recorder_keeps_to_its_quota(
    tmp_path: Path, make_shot: MakeShot, read_av: Read, log: Log, finished: Finished
) -> None:
    quota = 400_000
    options = RecordOptions(tmp_path, segment_seconds=1, quota_bytes=quota)
    sink = RecordSink(options, CLASSES, log.events)
    written = 0
    for index in range(200):
        sink.write(make_shot(index, index / 20, noise=True), False)
        written = max(written, sum(path.stat().st_size for path in finished(tmp_path)))
    sink.close()
    total = sum(event.data["bytes"] for event in log.of("record.segment"))
    assert total > 2 * quota  # without pruning it would be this much
    assert written <= quota
    kept = [number for path in finished(tmp_path) for number in read_av(path).numbers]
    assert kept == list(range(kept[0], 200))
    names = [event.data["name"] for event in log.of("record.segment")]
    pruned = [event.data["name"] for event in log.of("record.pruned")]
    assert pruned == names[: len(pruned)]
    assert [path.name for path in finished(tmp_path)] == names[len(pruned) :]


def test_what_cannot_be_deleted_is_told_once(tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        (tmp_path / segment_name(1_800_000_000, "", number)).write_bytes(bytes(100))

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    shelf = Shelf(tmp_path, 10, log.events)
    for _ in range(5):
        shelf.prune()
    assert log.kinds == ["record.prune_failed"]
    assert log.seen[0].data["reason"].startswith("Operation not permitted: /")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be recorded to: Not a directory"):
        Shelf(tmp_path / "file" / "below", None, Events())
