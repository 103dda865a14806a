"""Events as JSON lines, in a file that rotates or on stdout."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Thread

from edgeseg_runtime.errors import ConfigError, OutputError
from edgeseg_runtime.events import Event
from edgeseg_runtime.telemetry.encoding import event_json
from edgeseg_runtime.telemetry.mailbox import Mailbox

STDOUT = "-"

_SPARE_SECONDS = 0.5
"""How often a line that could not be written is tried again."""


class EventLog:
    """A listener (`events.subscribe(log)`) that writes one whole line per event, from a thread of its own.

    A file that has reached `max_bytes` is renamed to `NAME.1`, `NAME.1` to `NAME.2` and so on; `keep` old ones stay.
    What cannot be written (the disk is full, the reader too slow) is counted, and once there is space again a line
    {"kind": "log.lost", "events": N} says so. Raises OutputError when the file cannot be opened at the start.
    """

    def __init__(
        self, target: str, *, max_bytes: int = 10_000_000, keep: int = 3, retry: float = _SPARE_SECONDS
    ) -> None:
        if max_bytes < 1 or keep < 0:
            raise ConfigError(f"an event log needs max_bytes >= 1 and keep >= 0, got {max_bytes} and {keep}")
        self._path = None if target == STDOUT else Path(target)
        self._max_bytes, self._keep, self._retry = max_bytes, keep, retry
        self._torn = False
        """Whether the last line has no end, so that the next one must begin a new line."""
        self._fd = self._open()
        self._box: Mailbox[Event] = Mailbox()
        self._unreported = 0
        self.lost = 0
        """Events that never reached the log."""
        self.error: str | None = None
        """Why the last write failed; None when it did not."""
        self._thread = Thread(target=self._run, name="edgeseg-event-log", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take an event; returns at once."""
        self._box.put(event)

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for at most `timeout` seconds. May be called again."""
        self._box.close()
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while not self._box.closed:
                self._write_batch(self._retry if self._unreported else None)
            self._write_batch(0)
        finally:
            if self._path is not None and self._fd >= 0:
                os.close(self._fd)

    def _write_batch(self, timeout: float | None) -> None:
        events, overrun = self._box.take(timeout)
        self._lose(overrun)
        if self._unreported:
            number = self._unreported
            if self._write(Event("log.lost", data={"events": number})):
                self._unreported -= number
        for event in events:
            if not self._write(event):
                self._lose(1)

    def _lose(self, number: int) -> None:
        self.lost += number
        self._unreported += number

    def _write(self, event: Event) -> bool:
        try:
            self._put(event_json(event).encode() + b"\n")
        except OSError as error:
            self.error = f"{self._path or 'stdout'}: {error.strerror or error}"
            return False
        self.error = None
        return True

    def _put(self, line: bytes) -> None:
        """Write a whole line, or take back what was written of it."""
        size = self._make_room(len(line)) if self._path else 0
        line = b"\n" + line if self._torn else line
        written = 0
        try:
            while written < len(line):  # a short write is the disk's way to say that the next one will fail
                written += os.write(self._fd, line[written:])
        except OSError:
            if self._path:
                os.ftruncate(self._fd, size)
            else:
                self._torn = self._torn or written > 0
            raise
        self._torn = False

    def _make_room(self, length: int) -> int:
        """Open and rotate the file as needed; return its size."""
        if self._fd < 0:
            self._fd = self._reopen()
        size = os.fstat(self._fd).st_size
        if size and size + length > self._max_bytes:
            self._rotate()
            return 0
        return size

    def _rotate(self) -> None:
        assert self._path is not None
        os.close(self._fd)
        self._fd = -1
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{age}") for age in range(1, self._keep + 1))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
        if self._keep == 0:
            self._path.unlink(missing_ok=True)
        self._fd = self._reopen()

    def _reopen(self) -> int:
        assert self._path is not None
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def _open(self) -> int:
        if self._path is None:
            sys.stdout.flush()
            return sys.stdout.fileno()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._torn = _ends_in_mid_line(self._path)  # a process that was killed left it so
            return self._reopen()
        except OSError as error:
            raise OutputError(f"the event log {self._path} cannot be written: {error.strerror}") from error


def _ends_in_mid_line(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
