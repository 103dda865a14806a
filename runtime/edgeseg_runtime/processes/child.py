"""The parent's hold on a child."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from edgeseg_runtime.processes.link import Link


class Child:
    """A running `python -m module`. Nothing but a descriptor's number is in its arguments: those are public.

    `on_stderr` gets its complaints line by line, in a thread of its own; what a library prints may hold credentials,
    so they are the receiver's to scrub.
    """

    def __init__(self, module: str, on_stderr: Callable[[str], None] | None = None) -> None:
        self.link, theirs = Link.pair()
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), str(lifeline)],
                pass_fds=(theirs.fileno(), lifeline),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE if on_stderr else subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": _search_path(), "PYTHONSAFEPATH": "1"},
                start_new_session=True,  # ctrl-C is for the parent, which ends its children in good order
            )
        finally:
            theirs.close()
            os.close(lifeline)
        self._ears: Thread | None = None
        if on_stderr is not None:
            self._ears = Thread(target=self._listen, args=(on_stderr,), name="edgeseg-stderr", daemon=True)
            self._ears.start()

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -9 if it was killed."""
        return self._process.poll()

    def kill(self) -> None:
        """End it now, whatever it does, and wait until it is gone. May be called again."""
        self._process.kill()  # before it learns from a closed lifeline that it may end by itself
        self.link.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        self._process.wait()
        if self._ears is not None:
            self._ears.join(1.0)
        if self._process.stderr is not None and not (self._ears and self._ears.is_alive()):
            self._process.stderr.close()

    def _listen(self, on_stderr: Callable[[str], None]) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            on_stderr(line.decode(errors="replace").rstrip())


def _search_path() -> str:
    """Where this process finds its modules, so that the child finds the same ones."""
    return os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
