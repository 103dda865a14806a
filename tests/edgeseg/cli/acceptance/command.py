"""`edgeseg stream` as a user runs it: a process of its own, watched from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeseg_runtime.address import Address

PATIENCE = 40.0
"""Seconds after which something that should come about soon is taken to have failed: the machine may be busy."""


def wait_until(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.01)


class Command:
    """Started at once, with its events on stdout. `with` ends it whatever happens."""

    def __init__(self, *arguments: object) -> None:
        environment = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
        program = [sys.executable, "-c", "from edgeseg.cli import main; main()", "stream"]
        self.process = subprocess.Popen(
            [*program, *map(str, arguments), "--events", "-"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.events: list[dict[str, Any]] = []
        self.said: list[str] = []
        """What it said on stderr, line by line."""
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._hear, self._listen)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.end()

    @property
    def address(self) -> Address:
        """Where the viewer listens."""
        found: list[str] = []

        def told() -> bool:
            found.extend(re.findall(r"viewer: http://127\.0\.0\.1:(\d+)/", "\n".join(self.said)))
            return bool(found)

        self.wait(told, "a viewer")
        return Address("127.0.0.1", int(found[0]))

    @property
    def url(self) -> str:
        return self.address.url()

    def wait(self, true: Callable[[], bool], what: str) -> None:
        """Wait for something that only comes about while the command runs."""

        def look() -> bool:
            done = true()
            assert done or self.process.poll() is None, (what, self.said)
            return done

        wait_until(look, f"{what}; {self.events[-5:]}, {self.said[-5:]}")

    def event(self, kind: str, since: float = 0.0, **data: object) -> dict[str, Any]:
        """Wait for an event of this kind and data, at or after `since` (seconds since 1970), and return it."""
        found: list[dict[str, Any]] = []

        def told() -> bool:
            found.extend(
                event
                for event in list(self.events)
                if event["kind"] == kind
                and event["at"] >= since
                and all(event.get(key) == value for key, value in data.items())
            )
            return bool(found)

        self.wait(told, f"{kind} {data}")
        return found[0]

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in list(self.events) if event["kind"] == kind]

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}api/status", timeout=PATIENCE) as answer:
            status: dict[str, Any] = json.load(answer)
        return status

    def children(self) -> dict[int, str]:
        """Return its processes besides the first, by number, with their command lines."""
        return descendants(self.process.pid)

    def workers(self) -> list[int]:
        """Return the processes that read cameras."""
        return sorted(pid for pid, line in self.children().items() if "edgeseg_runtime.capture.worker" in line)

    def send(self, number: signal.Signals) -> float:
        """Send a signal, wait for the end, and return how long that took."""
        sent_at = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        took = time.monotonic() - sent_at
        self.end()
        return took

    def end(self) -> None:
        """Wait for the end, and hear the last words."""
        self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        assert not any("Traceback" in line for line in self.said), self.said

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):  # a killed process may stop in mid-line
                self.events.append(json.loads(line))

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip())


def descendants(pid: int) -> dict[int, str]:
    """Return a process's children, theirs and so on, by number, with their command lines."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):  # gone meanwhile
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        parent = todo.pop()
        for child in [child for child, its in parents.items() if its == parent]:
            todo.append(child)
            found[child] = command_line(child)
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process runs. One that has ended and was not collected yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
