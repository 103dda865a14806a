"""The file that a segment is while it grows.

Safe against the end of the process at any moment, because every write ends with a whole fragment and the kernel keeps
what was written. Safe against a power cut up to the last sync: `SYNC_SECONDS` at most, and when the file is finished.
The file is locked while it is open, so that another process that tidies up the folder leaves it alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from time import monotonic

from edgeseg_runtime.recording.muxer import Written
from edgeseg_runtime.recording.names import partial_name

SYNC_SECONDS = 2.0
"""How much a power cut may take. One sync of a second's frames took 4 ms (median) on a virtual disk."""

LOOK_SECONDS = 0.5  # how long a file that was deleted may go unnoticed


class PartialFile:
    """A new file `.name.partial` in `folder`. Every method raises OSError."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.path = folder / partial_name(name)
        self._file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        self.size = 0
        """Bytes that are whole."""
        self._synced = self._looked = monotonic()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.lexists(folder / name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder / name))
            self._look()
        except OSError:
            self.discard()
            raise

    def write(self, written: Written) -> None:
        """Append, then patch; sync now and then. After an error the file still ends where it was whole before."""
        try:
            self._put(self.size, written.appended)
            if written.patches:
                os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        for offset, data in written.patches:
            self._put(offset, data)
        self.size += len(written.appended)
        now = monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look()
        if now - self._synced >= SYNC_SECONDS:
            self._synced = now
            os.fdatasync(self._file)

    def finish(self) -> None:
        """Sync, close, and give the file its name, over nothing that is already there."""
        try:
            os.fsync(self._file)
            self._look()
            if os.path.lexists(self.folder / self.name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.folder / self.name))
            self.path.rename(self.folder / self.name)
        finally:
            self._close()
        sync_folder(self.folder)

    def discard(self) -> None:
        """Close and delete the file."""
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self._close()

    def _put(self, offset: int, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:
            count = os.pwrite(self._file, rest, offset)
            rest, offset = rest[count:], offset + count

    def _look(self) -> None:
        """Raise if the name no longer leads to this file: what is written to it would be lost."""
        if not os.path.samestat(self.path.lstat(), os.fstat(self._file)):
            raise FileNotFoundError(errno.ENOENT, "it was replaced while being written", str(self.path))

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def sync_folder(folder: Path) -> None:
    """Make names that were given or taken in a folder survive a power cut."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
