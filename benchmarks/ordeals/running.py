"""A subject while it runs, in a process group of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import IO

from edgeseg_runtime.errors import EdgesegError
from ordeals.drivers.wire import Task
from ordeals.subjects import Subject
from ordeals.trace import Ended, Said, Trace

LOAD_SECONDS = 90.0
"""From the start of a driver's process to the opening of the cameras."""
BENCHMARKS = Path(__file__).parent.parent
# Appended, so that no file of this folder takes the place of a module that the subject imports.
_LAUNCH = (
    "import runpy, sys; sys.path.append({path!r}); runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
)


class CannotStart(EdgesegError):  # noqa: N818 - says what it is
    """A subject ended, or took too long, before it opened its cameras; says what it printed."""


class Running:
    """A driver's process. Its trace grows while others look at it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self.trace = process, Trace()
        assert process.stdout is not None and process.stderr is not None
        self._readers = [
            Thread(target=self._hear, args=(process.stdout,), daemon=True),
            Thread(target=self._overhear, args=(process.stderr,), daemon=True),
        ]
        self.problem: ValueError | None = None
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Of the driver itself."""
        return self._process.pid

    def wait(self, until: Callable[[Trace], bool], seconds: float) -> bool:
        """Wait until something holds for the trace, at most so long, and not beyond the subject's end."""
        end = monotonic() + seconds
        while monotonic() < end and not self.over():
            if until(self.trace):
                return True
            sleep(0.01)
        return until(self.trace)

    def over(self) -> bool:
        """Whether nothing comes any more: it returned by itself, or its process has ended."""
        return self.trace.done_at is not None or self.gone()

    def gone(self) -> bool:
        """Whether its process has ended; the trace then says how. Raises ValueError for a driver that is broken."""
        if self.problem is not None:
            raise self.problem
        if self.trace.ended is None and (code := self._process.poll()) is not None:
            at = monotonic()
            for reader in self._readers:
                reader.join(2)
            self.trace.ended = Ended(at, code)
        return self.trace.ended is not None

    def interrupt(self, seconds: float) -> float | None:
        """Press ctrl-C as in a terminal; return the seconds until the process is gone, None: not in so many."""
        began = monotonic()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGINT)
        while monotonic() < began + seconds:
            if self.gone():
                return monotonic() - began
            sleep(0.005)
        return None

    def kill(self) -> None:
        """End it and its children now."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for reader, pipe in zip(self._readers, (self._process.stdout, self._process.stderr), strict=True):
            reader.join(5)
            if pipe is not None:
                pipe.close()

    def _hear(self, lines: IO[str]) -> None:
        try:
            for line in lines:
                self.trace.add(line)
        except ValueError as error:
            self.problem = error

    def _overhear(self, lines: IO[str]) -> None:
        for line in lines:
            self.trace.said.append(Said(monotonic(), line.rstrip("\n"), "printed"))


@contextmanager
def running(subject: Subject, python: Path, task: Task) -> Iterator[Running]:
    """Start a subject and wait until it opens its cameras; whatever is left of it is killed at the end.

    Raises CannotStart.
    """
    launch = _LAUNCH.format(path=str(BENCHMARKS), module=f"ordeals.drivers.{subject.driver}")
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [str(python), "-c", launch, json.dumps(asdict(task))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
            start_new_session=True,
        )
        run = Running(process)
        try:
            if not run.wait(lambda trace: trace.started_at is not None, LOAD_SECONDS):
                last = "; ".join(one.text for one in run.trace.said[-3:])
                raise CannotStart(f"{subject.name} could not be started with {python}: {last or 'it said nothing'}")
            yield run
        finally:
            run.kill()
