from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeseg_runtime.errors import ConfigError, OutputError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.telemetry.event_log import EventLog


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_bytes()
    assert text.endswith(b"\n") or not text
    return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


def whole(path: Path) -> list[dict[str, Any]]:
    """The lines so far: for a moment a full disk shows half of one, before it is taken back."""
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def test_every_event_is_a_line_in_order(tmp_path: Path) -> None:
    path, events = tmp_path / "new" / "events.jsonl", Events()
    log = EventLog(str(path))
    events.subscribe(log)
    for number in range(200):
        events.publish("zone.enter", "Tür", number=number)
    log.close()
    log.close()
    assert [(line["kind"], line["source"], line["number"]) for line in lines(path)] == [
        ("zone.enter", "Tür", number) for number in range(200)
    ]
    assert log.lost == 0 and log.error is None
    events.publish("too.late")
    assert len(lines(path)) == 200


def test_lines_are_there_at_once_and_a_log_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"old": 1}\n{"torn": ')  # what a killed process may leave
    log = EventLog(str(path))
    log(Event("a"))
    wait_until(lambda: path.read_text().endswith("}\n"))
    log.close()
    old, torn, new = path.read_text().splitlines()
    assert (old, torn) == ('{"old": 1}', '{"torn": ') and json.loads(new)["kind"] == "a"


def test_odd_values_are_strict_json_all_the_same(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / "e"))
    knot: dict[str, Any] = {}
    knot["self"] = knot
    log(
        Event(
            "odd",
            data={"nan": float("nan"), "deep": [float("inf"), {"path": tmp_path}], "knot": knot, "text": "\ud800"},
        )
    )
    log(Event("next"))
    log.close()
    odd, following = lines(tmp_path / "e")
    assert odd["nan"] is None and odd["deep"] == [None, {"path": str(tmp_path)}] and odd["text"] == "?"
    assert following["kind"] == "next"


def test_old_logs_are_renamed_and_their_number_is_bounded(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / "e"), max_bytes=1000, keep=2)
    for number in range(100):
        log(Event("tick", data={"number": number}))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e", "e.1", "e.2"]
    numbers = [line["number"] for name in ("e.2", "e.1", "e") for line in lines(tmp_path / name)]
    assert numbers == list(range(100 - len(numbers), 100))
    assert len(numbers) > 20
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_without_old_logs_it_begins_anew(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / "e"), max_bytes=200, keep=0)
    for number in range(50):
        log(Event("tick", data={"number": number}))
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["e"]
    assert lines(tmp_path / "e")[-1]["number"] == 49


def test_a_line_longer_than_the_bound_is_still_whole(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path / "e"), max_bytes=50, keep=1)
    for _ in range(3):
        log(Event("long", data={"text": "x" * 500}))
    log.close()
    assert len(lines(tmp_path / "e")) == len(lines(tmp_path / "e.1")) == 1


class FullDisk:
    """Stands in for os.write: takes `space` bytes, the last write in part, and then none."""

    def __init__(self, space: int) -> None:
        self.space = space
        self._write = os.write

    def __call__(self, fd: int, data: bytes) -> int:
        if self.space <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(fd, data[: self.space])
        self.space -= written
        return written


def test_a_full_disk_is_survived_and_what_was_lost_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(200)
    monkeypatch.setattr("edgeseg_runtime.telemetry.event_log.os.write", disk)
    log = EventLog(str(tmp_path / "e"), retry=0.02)
    for number in range(10):
        log(Event("tick", data={"number": number}))
    wait_until(lambda: log.lost > 0 and not log._box._things)
    wait_until(lambda: log.lost + len(whole(tmp_path / "e")) == 10)
    assert log.error is not None and "No space left" in log.error
    before = whole(tmp_path / "e")
    assert 0 < len(before) < 10
    disk.space = 10**6
    wait_until(lambda: whole(tmp_path / "e")[-1]["kind"] == "log.lost")  # said without waiting for an event
    log(Event("tick", data={"number": 10}))
    log.close()
    after = lines(tmp_path / "e")[len(before) :]
    assert [line["kind"] for line in after] == ["log.lost", "tick"]
    assert after[0]["events"] == 10 - len(before) == log.lost
    assert log.error is None  # and every line was whole, though the disk took half of one


def test_the_naive_way_leaves_half_a_line_on_a_full_disk(tmp_path: Path) -> None:
    disk = FullDisk(10)
    with (tmp_path / "e").open("wb", buffering=0) as file:
        disk(file.fileno(), b'{"kind": "tick"}\n')
        disk.space = 100
        disk(file.fileno(), b'{"kind": "tock"}\n')
    with pytest.raises(json.JSONDecodeError):
        lines(tmp_path / "e")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount:
        pytest.skip("there is no mount command")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a file system cannot be mounted here: " + made.stderr.decode().strip())
    yield folder
    subprocess.run([umount, "-l", str(folder)], check=True)


def test_a_really_full_disk(tiny_disk: Path) -> None:
    (tiny_disk / "ballast").write_bytes(b"x" * 57_344)
    log = EventLog(str(tiny_disk / "e"), retry=0.02)
    for number in range(100):
        log(Event("tick", data={"number": number, "text": "x" * 200}))
    wait_until(lambda: log.lost + len(whole(tiny_disk / "e")) == 100 and log.lost > 0)
    (tiny_disk / "ballast").unlink()
    wait_until(lambda: whole(tiny_disk / "e")[-1]["kind"] == "log.lost")
    log.close()
    written = lines(tiny_disk / "e")
    assert written[-1]["events"] == log.lost == 100 - (len(written) - 1)


def test_a_slow_disk_never_makes_the_publisher_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, write = threading.Event(), os.write

    def slow(fd: int, data: bytes) -> int:
        assert go_on.wait(60)
        return write(fd, data)

    monkeypatch.setattr("edgeseg_runtime.telemetry.event_log.os.write", slow)
    log, events = EventLog(str(tmp_path / "e")), Events()
    events.subscribe(log)

    def publish() -> None:
        for number in range(5000):
            events.publish("tick", number=number)

    publisher = threading.Thread(target=publish)
    publisher.start()
    publisher.join(30)
    assert not publisher.is_alive()  # while not a single line has been written
    assert (tmp_path / "e").stat().st_size == 0
    started = time.monotonic()
    log.close(0.1)
    assert time.monotonic() - started < 10
    go_on.set()
    log.close(30)
    written = lines(tmp_path / "e")
    lost = sum(line["events"] for line in written if line["kind"] == "log.lost")
    assert lost == log.lost >= 3000
    assert sum(line["kind"] == "tick" for line in written) == 5000 - lost
    assert written[-1]["number"] == 4999  # the newest are kept


def test_stdout_gets_the_lines(capfd: pytest.CaptureFixture[str]) -> None:
    log = EventLog("-")
    log(Event("a"))
    log(Event("b", "door"))
    log.close()
    assert [json.loads(line)["kind"] for line in capfd.readouterr().out.splitlines()] == ["a", "b"]
    print("still open")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_stdout_ends_nothing() -> None:
    code = (
        "from edgeseg_runtime.events import Event; from edgeseg_runtime.telemetry.event_log import EventLog\n"
        "import sys\n"
        "log = EventLog('-', retry=0.01)\n"
        "for _ in range(5): log(Event('a'))\n"
        "log.close(); print(log.lost, log.error, file=sys.stderr)"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "5 stdout: No space left on device\n"


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the event log .* cannot be written: Is a directory"):
        EventLog(str(tmp_path))
    with pytest.raises(ConfigError, match="got 0 and 3"):
        EventLog(str(tmp_path / "e"), max_bytes=0)
