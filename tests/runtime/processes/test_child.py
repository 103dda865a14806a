from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeseg_runtime.processes.child import Child
from edgeseg_runtime.processes.link import LIMIT, Link, LinkClosed
from edgeseg_runtime.processes.memory import SharedMemory

ECHO = """
import sys, time
import numpy as np
from edgeseg_runtime.processes.inside import serve
from edgeseg_runtime.processes.memory import SharedMemory

def work(link):
    while True:
        message, fds = link.receive()
        if message.get("hang"):
            time.sleep(600)
        if message.get("say"):
            print(message["say"], file=sys.stderr, flush=True)
        if fds:
            SharedMemory(fds[0], message["size"]).array((4, 5))[:] += 1
        link.send({"echo": message, "argv": sys.argv[1:]})

if __name__ == "__main__":
    serve(work)
"""

Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    (tmp_path / "echo_child.py").write_text(ECHO)
    monkeypatch.syspath_prepend(str(tmp_path))
    children: list[Child] = []

    def make(on_stderr: Callable[[str], None] | None = None) -> Child:
        children.append(Child("echo_child", on_stderr))
        return children[-1]

    yield make
    for child in children:
        child.kill()


def wait_until(true: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not (done := true()) and time.monotonic() < end:
        time.sleep(0.01)
    return done


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_messages_go_there_and_back_and_arguments_hold_only_numbers(start: Start) -> None:
    child = start()
    child.link.send({"url": "rtsp://user:secret@host/1"})
    answer = child.link.receive(20)
    assert answer is not None
    assert answer[0]["echo"] == {"url": "rtsp://user:secret@host/1"}
    assert all(argument.isdigit() for argument in answer[0]["argv"])
    assert b"secret" not in Path(f"/proc/{child.pid}/cmdline").read_bytes()


def test_memory_is_shared_and_has_no_name(start: Start) -> None:
    before = set(Path("/dev/shm").iterdir())
    child, memory = start(), SharedMemory.create(4096)
    picture = memory.array((4, 5))
    picture[:] = np.arange(20).reshape(4, 5)
    child.link.send({"size": 4096}, [memory.fd])
    assert child.link.receive(20) is not None
    np.testing.assert_array_equal(picture, np.arange(1, 21).reshape(4, 5))
    assert set(Path("/dev/shm").iterdir()) == before
    memory.close()
    memory.close()
    np.testing.assert_array_equal(picture, np.arange(1, 21).reshape(4, 5))  # a view outlives the descriptor
    with pytest.raises(ValueError):
        memory.array((4097,))


def test_the_other_side_cannot_cut_shared_memory_off() -> None:
    memory = SharedMemory.create(4096)
    with pytest.raises(PermissionError):
        os.ftruncate(memory.fd, 0)
    assert memory.array((4096,)).sum() == 0
    memory.close()


def test_a_child_that_hangs_is_killed(start: Start) -> None:
    child = start()
    child.link.send({"hang": True})
    assert child.link.receive(0.3) is None
    assert child.exit_code is None
    child.kill()
    assert child.exit_code == -signal.SIGKILL
    child.kill()
    with pytest.raises(LinkClosed):
        child.link.receive(0)


def test_a_child_that_died_is_noticed(start: Start) -> None:
    child = start()
    child.link.send({})
    assert child.link.receive(20) is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(LinkClosed):
        child.link.receive(20)
    with pytest.raises(LinkClosed):
        child.link.send({})


def test_complaints_are_heard_line_by_line(start: Start) -> None:
    heard: list[str] = []
    child = start(heard.append)
    child.link.send({"say": "no such camera\n401 Unauthorized"})
    assert wait_until(lambda: len(heard) == 2)
    assert heard == ["no such camera", "401 Unauthorized"]


def test_a_child_does_not_mind_ctrl_c(start: Start) -> None:
    child = start()
    child.link.send({})
    assert child.link.receive(20) is not None
    os.kill(child.pid, signal.SIGINT)
    child.link.send({"after": 1})
    answer = child.link.receive(20)
    assert answer is not None and answer[0]["echo"] == {"after": 1}


@pytest.mark.parametrize("busy", [False, True])
def test_no_child_outlives_a_killed_parent(tmp_path: Path, busy: bool) -> None:
    (tmp_path / "echo_child.py").write_text(ECHO)
    script = f"""
import sys, time
sys.path.insert(0, {str(tmp_path)!r})
from edgeseg_runtime.processes.child import Child
child = Child("echo_child")
child.link.send({{}})
child.link.receive(20)
child.link.send({{"hang": True}}) if {busy} else None
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    assert wait_until(lambda: not alive(pid))


def test_a_link_refuses_what_does_not_fit_and_notices_a_deaf_reader() -> None:
    ours, theirs = Link.pair()
    with pytest.raises(ValueError, match="at most"):
        ours.send({"text": "x" * LIMIT})
    with pytest.raises(TimeoutError):
        for _ in range(10_000):
            ours.send({"text": "x" * 1000}, timeout=0.05)
    theirs.close()
    with pytest.raises(LinkClosed):
        ours.send({})
    ours.close()
    with pytest.raises(LinkClosed):
        ours.receive(0)


def test_nothing_leaks_over_many_children(start: Start) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    start(print).kill()
    before = descriptors()
    for _ in range(5):
        child = start(print)
        child.link.send({})
        child.link.receive(20)
        child.kill()
    assert descriptors() == before
