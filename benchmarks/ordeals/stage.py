"""Where an ordeal takes place: a subject, its Python, and the cameras of this machine that it is shown."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from ordeals.drivers.wire import Task
from ordeals.judge import fresh
from ordeals.running import Running, running
from ordeals.subjects import Subject
from ordeals.trace import Trace, last_words
from tests.servers.base import CameraServer
from tests.servers.rtsp import RtspServer
from tests.servers.scene import Scene

SIZE = 240, 320
FIRST_SECONDS = 20.0
"""From the opening of the cameras to the first good picture of each."""
SETTLE_SECONDS = 3.0
"""After it, before anything is done to them."""


_ports = iter(random.sample(range(20_000, 32_000), 12_000))
"""Below those of Linux' outgoing connections. Each is tried once, by one thread."""


class NeverLive(Exception):  # noqa: N818 - what a subject does, not a malfunction
    """It gave no picture of now, so that the ordeal could not begin; says what it did."""


@dataclass
class Stage:
    """One subject and how to start it."""

    subject: Subject
    python: Path
    model: Path
    versions: dict[str, str] = field(default_factory=dict)
    """What it says it is, once it has run."""
    now: Running | None = None
    """What runs at the moment."""

    @contextmanager
    def running(self, urls: list[str], *, inference_seconds: float = 0.0, viewer: bool = False) -> Iterator[Running]:
        """Start it on these cameras; see `subjects.running`."""
        task = Task(urls, inference_seconds, str(self.model.resolve()), viewer)
        with running(self.subject, self.python, task) as run:
            self.versions.update(run.trace.versions)
            self.now = run
            yield run

    def abort(self) -> None:
        """End what runs at the moment, and with it, soon, the ordeal. Another thread may call this."""
        if self.now is not None:
            self.now.kill()


@dataclass(frozen=True)
class Ordeal:
    """Something that happens to live cameras."""

    number: int
    name: str
    title: str
    run: Callable[[Stage], dict[str, Any]]
    """Returns figures. Raises NeverLive."""
    cell: Callable[[dict[str, Any]], str]
    """Says the figures in a few words."""
    together: bool = False
    """Whether all subjects wait through it at the same time: nothing in it depends on how busy the machine is."""


def free_port() -> int:
    """Return a port that nothing listens on, and that the system gives to no outgoing connection.

    A camera that goes must find its port free when it comes back.
    """
    for port in _ports:
        with socket.socket() as finder, suppress(OSError):
            finder.bind(("127.0.0.1", port))
            return port
    raise OSError("every port from 20000 to 31999 is taken")


@contextmanager
def camera(scene: Scene | None = None, *, up: bool = True) -> Iterator[CameraServer]:
    """Serve an RTSP camera with H.264, and take it away at the end."""
    server = RtspServer(scene or Scene(SIZE))
    server.port = free_port()
    if up:
        server.up()
    try:
        yield server
    finally:
        server.down()


def settle(run: Running, cameras: int = 1) -> None:
    """Wait until every camera has given a picture of now, and a little longer. Raises NeverLive."""
    since, began = run.trace.started_at or 0.0, monotonic()
    for source in range(cameras):
        if not run.wait(partial(_fresh_of, source, since), began + FIRST_SECONDS - monotonic()):
            which = "" if cameras == 1 else f" of camera {source + 1}"
            raise NeverLive(how_ended(run.trace) or f"gave no good picture{which} in {FIRST_SECONDS:g} s")
    pause(run, SETTLE_SECONDS)
    if run.over():
        raise NeverLive(how_ended(run.trace))


def _fresh_of(source: int, since: float, trace: Trace) -> bool:
    return fresh(trace.of(source), since) is not None


def pause(run: Running, seconds: float) -> None:
    """Let time pass, until the end of the subject at most."""
    run.wait(lambda _: False, seconds)


def how_ended(trace: Trace) -> str:
    """Say how the subject came to its end; empty: it did not."""
    words = last_words(trace) or "nothing said"
    if trace.done_at is not None:
        return f"returned by itself: {words}"
    return "" if trace.ended is None else f"process ended, exit code {trace.ended.code}: {words}"
