"""A spool in a folder: append-only segments, and a small file that says how far they were delivered."""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.telemetry.spool import Spool

_SEGMENTS = 8
"""The files are about this fraction of the whole, so that what was delivered is freed piece by piece."""
_HEAD = 18  # eight hexadecimal digits of length, eight of CRC-32, a space after each


@dataclass(frozen=True)
class _Place:
    segment: int
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length + 1


class DiskSpool(Spool):
    """See `Spool`. The folder takes `max_bytes` and about an eighth more.

    Each batch is synced, so that it outlives a power cut. A record whose length or checksum does not fit (the last one,
    when the process was killed while writing) ends its segment. Raises OutputError where the folder cannot be used or
    another process uses it.
    """

    def __init__(self, folder: Path, max_records: int = 10_000, max_bytes: int = 16_000_000) -> None:
        super().__init__(max_records, max_bytes)
        self._folder = folder
        self._places: deque[_Place] = deque()
        self._lock = _locked(folder)
        self._fd, self._oldest = -1, -1
        try:
            for litter in folder.glob(".delivered.*.partial.json"):  # of a process that was killed
                litter.unlink()
            segments = sorted(int(path.stem) for path in folder.glob("*.spool") if path.stem.isdecimal())
            first, offset = self._position()
            self._segment = max([first, *segments]) + 1  # what is left of a torn file is never written behind
            self._read(segments, first, offset)
            self._keep_bounds()
        except OSError as error:
            self.close()
            raise OutputError(f"the spool {folder} cannot be read: {error.strerror or error}") from error

    def __len__(self) -> int:
        return len(self._places)

    def peek(self, most: int) -> list[bytes]:
        """Return up to `most` of the oldest records. Raises OutputError."""
        try:
            return [self._record(place) for place, _ in zip(self._places, range(most), strict=False)]
        except OSError as error:
            raise OutputError(f"the spool {self._folder} cannot be read: {error.strerror or error}") from error

    def acknowledge(self, number: int) -> None:
        """Forget the oldest `number` records, on disk too. Raises OutputError; they may then come again."""
        self._forget(number)
        self._save_position()

    def close(self) -> None:
        """Save how far it was delivered, and let others use the folder. May be called again."""
        if self._lock < 0:
            return
        try:
            self._save_position()
        finally:
            if self._fd >= 0:
                os.close(self._fd)
            os.close(self._lock)
            self._fd = self._lock = -1

    def _store(self, records: list[bytes]) -> None:
        data, places, start = b"", [], 0
        try:
            start = self._open_segment()
            for record in records:
                head = f"{len(record):08x} {zlib.crc32(record):08x} ".encode()
                places.append(_Place(self._segment, start + len(data) + _HEAD, len(record)))
                data += head + record + b"\n"
            written = 0
            while written < len(data):
                written += os.write(self._fd, data[written:])
            os.fsync(self._fd)
        except OSError as error:
            self._give_up_segment(start)
            self.dropped += len(records)
            raise OutputError(f"the spool {self._folder} cannot be written: {error.strerror or error}") from error
        self._places.extend(places)
        self.size += sum(map(len, records))

    def _open_segment(self) -> int:
        """Begin a new file where there is none or it is long enough; return the length of the one in use."""
        if self._fd >= 0:
            length = os.fstat(self._fd).st_size
            if length < max(1, self.max_bytes // _SEGMENTS):
                return length
            os.close(self._fd)
            self._fd = -1
            self._segment += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path(self._segment), flags, 0o600)
        return os.fstat(self._fd).st_size

    def _give_up_segment(self, length: int) -> None:
        if self._fd >= 0:
            with suppress(OSError):  # half a record at the end is skipped by who reads it
                os.ftruncate(self._fd, length)
            os.close(self._fd)
            self._fd = -1
        self._segment += 1

    def _forget(self, number: int) -> None:
        for _ in range(number):
            self.size -= self._places.popleft().length
        first = self._places[0].segment if self._places else self._segment
        if first == self._oldest:
            return
        self._oldest = first
        for path in self._folder.glob("*.spool"):
            if path.stem.isdecimal() and int(path.stem) < first:
                path.unlink(missing_ok=True)

    def _sizes(self) -> Iterable[int]:
        return (place.length for place in self._places)

    def _record(self, place: _Place) -> bytes:
        with self._path(place.segment).open("rb") as file:
            file.seek(place.start)
            return file.read(place.length)

    def _read(self, segments: list[int], first: int, offset: int) -> None:
        for segment in segments:
            data = self._path(segment).read_bytes() if segment >= first else b""
            for place in _records(data, segment):
                if segment > first or place.start > offset:
                    self._places.append(place)
                    self.size += place.length

    def _position(self) -> tuple[int, int]:
        """Return the segment and offset before which everything was delivered."""
        try:
            saved = json.loads(self._folder.joinpath("delivered.json").read_bytes())
            return int(saved["segment"]), int(saved["offset"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0, 0  # rather deliver twice than not at all

    def _save_position(self) -> None:
        if self._places:
            position = {"segment": self._places[0].segment, "offset": self._places[0].start - _HEAD}
        else:
            position = {"segment": self._segment, "offset": os.fstat(self._fd).st_size if self._fd >= 0 else 0}
        try:
            write_json(self._folder / "delivered.json", position)
        except OSError as error:
            raise OutputError(f"the spool {self._folder} cannot be written: {error.strerror or error}") from error

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:012d}.spool"


def _locked(folder: Path) -> int:
    """Make the folder and lock it; the kernel frees the lock when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"the spool {folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise OutputError(f"the spool {folder} is used by another stream; give each one a folder of its own") from error
    return lock


def _records(data: bytes, segment: int) -> Iterator[_Place]:
    """Find the whole records at the start of a segment's bytes."""
    at = 0
    while at < len(data):
        head = data[at : at + _HEAD]
        try:
            length, checksum = int(head[:8], 16), int(head[9:17], 16)
        except ValueError:
            return
        place = _Place(segment, at + _HEAD, length)
        record = data[place.start : place.start + length]
        if zlib.crc32(record) != checksum or data[place.end - 1 : place.end] != b"\n":
            return
        yield place
        at = place.end
