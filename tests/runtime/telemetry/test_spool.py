from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeseg_runtime.errors import ConfigError, OutputError
from edgeseg_runtime.telemetry.disk_spool import DiskSpool
from edgeseg_runtime.telemetry.spool import MemorySpool, Spool

Make = Callable[[Path, int, int], Spool]


def memory(folder: Path, records: int, size: int) -> Spool:
    return MemorySpool(records, size)


def disk(folder: Path, records: int, size: int) -> Spool:
    return DiskSpool(folder, records, size)


both = pytest.mark.parametrize("make", [memory, disk])


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@both
def test_records_leave_in_the_order_they_came_once_acknowledged(tmp_path: Path, make: Make) -> None:
    spool = make(tmp_path, 100, 1000)
    spool.append([b"one", b"", b"two\nlines"])
    spool.append([b"\x00\xff"])
    assert spool.peek(2) == spool.peek(2) == [b"one", b""]
    assert len(spool) == 4 and spool.size == 14
    spool.acknowledge(2)
    assert spool.peek(9) == [b"two\nlines", b"\x00\xff"]
    spool.acknowledge(2)
    assert spool.peek(9) == [] and len(spool) == 0 and spool.size == 0 and spool.dropped == 0
    spool.append([])
    spool.close()


@both
def test_the_oldest_make_room_and_are_counted(tmp_path: Path, make: Make) -> None:
    by_number = make(tmp_path / "a", 3, 1000)
    by_number.append([b"%d" % number for number in range(10)])
    assert by_number.peek(9) == [b"7", b"8", b"9"] and by_number.dropped == 7
    by_size = make(tmp_path / "b", 100, 10)
    for number in range(10):
        by_size.append([b"%04d" % number])
    assert by_size.peek(9) == [b"0008", b"0009"] and by_size.dropped == 8
    by_size.append([b"longer than the whole spool"])  # it alone is given up, not all the others for its sake
    assert by_size.peek(9) == [b"0008", b"0009"] and by_size.dropped == 9
    by_number.close()
    by_size.close()


@st.composite
def doings(draw: st.DrawFn) -> list[tuple[str, list[bytes] | int]]:
    append = st.tuples(st.just("append"), st.lists(st.binary(max_size=40), max_size=6))
    acknowledge = st.tuples(st.just("acknowledge"), st.integers(0, 6))
    restart = st.tuples(st.just("restart"), st.just(0))
    return draw(st.lists(st.one_of(append, acknowledge, restart), max_size=25))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(doings(), st.integers(1, 8), st.integers(20, 120))
def test_both_spools_do_as_a_plain_queue_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[bytes] | int]], records: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    for make in (memory, disk):
        queue: deque[bytes] = deque()
        dropped = 0
        spool = make(folder, records, size)
        for what, how in steps:
            if isinstance(how, list):
                spool.append(how)
                fitting = [record for record in how if len(record) <= size]
                dropped += len(how) - len(fitting)
                queue.extend(fitting)
                while len(queue) > records or sum(map(len, queue)) > size:
                    queue.popleft()
                    dropped += 1
            elif what == "acknowledge":
                number = min(how, len(queue))
                spool.acknowledge(number)
                for _ in range(number):
                    queue.popleft()
            elif make is disk:
                spool.close()
                spool, dropped = make(folder, records, size), 0
            assert spool.peek(1000) == list(queue)
            assert (len(spool), spool.size, spool.dropped) == (len(queue), sum(map(len, queue)), dropped)
        spool.close()


def test_a_restart_loses_nothing_and_brings_nothing_back(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 1000, 2000)
    spool.append([b"%03d" % number for number in range(300)])
    spool.acknowledge(120)
    spool.close()
    spool.close()
    again = DiskSpool(tmp_path, 1000, 2000)
    assert again.peek(1000) == [b"%03d" % number for number in range(120, 300)]
    again.acknowledge(180)
    again.close()
    for _ in range(3):  # numbers of files go on, where all of them were delivered and deleted
        empty = DiskSpool(tmp_path, 1000, 2000)
        assert len(empty) == 0
        empty.append([b"next"])
        empty.close()
        next_one = DiskSpool(tmp_path, 1000, 2000)
        assert next_one.peek(9) == [b"next"]
        next_one.acknowledge(1)
        next_one.close()


def test_what_a_killed_process_had_accepted_is_there(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from edgeseg_runtime.telemetry.disk_spool import DiskSpool\n"
        "spool = DiskSpool(Path(sys.argv[1]))\n"
        "spool.append([b'%d' % number for number in range(50)]); spool.acknowledge(10)\n"
        "spool.append([b'last']); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    spool = DiskSpool(tmp_path)
    assert spool.peek(99) == [*(b"%d" % number for number in range(10, 50)), b"last"]
    spool.close()


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_torn_last_record_is_skipped(tmp_path: Path, cut: int) -> None:
    spool = DiskSpool(tmp_path)
    spool.append([b"whole", b"torn."])
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    os.truncate(segment, segment.stat().st_size - cut)
    again = DiskSpool(tmp_path)
    again.append([b"new"])
    assert again.peek(9) == [b"whole", b"new"]
    again.close()
    once_more = DiskSpool(tmp_path)
    assert once_more.peek(9) == [b"whole", b"new"]
    once_more.close()


def test_a_damaged_record_is_not_delivered(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path)
    spool.append([b"good", b"spoilt"])
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes().replace(b"spoilt", b"spoiLt"))
    (tmp_path / "delivered.json").write_bytes(b"\xff nothing sensible")
    (tmp_path / "other.spool").write_bytes(b"not ours")
    (tmp_path / ".delivered.0.partial.json").write_bytes(b"half")  # left by a process that was killed
    again = DiskSpool(tmp_path)
    assert again.peek(9) == [b"good"]
    again.close()
    assert not list(tmp_path.glob("*partial*"))


def test_the_disk_takes_little_more_than_the_bound(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 100_000, 64_000)
    most = 0
    for _ in range(300):
        spool.append([b"x" * 990] * 3)
        most = max(most, used(tmp_path))
    assert 60_000 < most < 64_000 * 1.25 + 3000
    assert spool.dropped == 900 - len(spool) and spool.size <= 64_000
    spool.acknowledge(len(spool))
    assert used(tmp_path) < 64_000 / 8 + 4000
    spool.close()


def test_a_full_disk_is_an_error_and_later_records_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = DiskSpool(tmp_path)
    spool.append([b"before"])
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) < 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data[:40])

    with monkeypatch.context() as patch:
        patch.setattr("edgeseg_runtime.telemetry.disk_spool.os.write", full)
        with pytest.raises(OutputError, match="No space left"):
            spool.append([b"lost" * 5, b"lost too" * 5])
    assert spool.dropped == 2
    spool.append([b"after"])
    assert spool.peek(9) == [b"before", b"after"]
    spool.close()
    again = DiskSpool(tmp_path)
    assert again.peek(9) == [b"before", b"after"]
    again.close()


def test_one_folder_serves_one_stream(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path)
    with pytest.raises(OutputError, match="used by another stream"):
        DiskSpool(tmp_path)
    spool.close()
    DiskSpool(tmp_path).close()


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/x cannot be used: Not a directory"):
        DiskSpool(tmp_path / "file" / "x")
    with pytest.raises(ConfigError, match="got 0 and 5"):
        MemorySpool(0, 5)
