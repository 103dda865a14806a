"""The folder of segments: the next name, the quota, and what a killed run left behind.

Only files that carry a recorder's name are counted, finished or deleted; symbolic links and everything else are left
alone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgeseg_runtime import extras
from edgeseg_runtime.claims import claimed
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.events import Events
from edgeseg_runtime.recording.boxes import sound_length
from edgeseg_runtime.recording.names import DAMAGED, SegmentName, parse_name, segment_name
from edgeseg_runtime.recording.partial import PartialFile, sync_folder


@dataclass(frozen=True)
class Held:
    """A segment in the folder."""

    name: SegmentName
    path: Path
    size: int


class Shelf:
    """A folder of segments, made if need be. Raises OutputError where nothing can be written there.

    Events: `record.pruned` (name, bytes) for each segment that the quota deletes; `record.recovered` (name, bytes) and
    `record.discarded` (name, reason) for what a killed run left.
    """

    def __init__(self, folder: Path, quota: int | None, events: Events) -> None:
        self.folder, self._quota, self._events = folder, quota, events
        self._prune_problem: str | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(0, "it is read-only")
            self._next = 1 + max((held.name.number for held in self._scan()), default=0)
        except OSError as error:
            raise OutputError(f"{folder} cannot be recorded to: {error.strerror}") from error

    def open(self, at: float, camera: str) -> PartialFile:
        """Begin a segment whose first frame is of `at`, seconds since 1970. Raises OSError."""
        while True:
            name = segment_name(at, camera, self._next)
            self._next += 1
            try:
                return PartialFile(self.folder, name)
            except (FileExistsError, BlockingIOError):
                continue  # another recorder's; numbers rise, so a free one comes

    def prune(self) -> None:
        """Delete the oldest finished segments until the folder's are within the quota.

        Where that fails, `record.prune_failed` (reason) says so, once for each reason.
        """
        if self._quota is None:
            return
        try:
            self._delete_oldest(self._quota)
            self._prune_problem = None
        except OSError as error:
            if self._prune_problem != error.strerror:
                self._prune_problem = error.strerror
                self._events.publish("record.prune_failed", reason=f"{error.strerror}: {error.filename}")

    def check_room(self, wanted: int) -> None:
        """Raise OSError unless the disk has `wanted` bytes free."""
        room = os.statvfs(self.folder)
        if room.f_bavail * room.f_frsize < wanted:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    def recover(self) -> None:
        """Finish what killed runs left: up to the last whole frame; what has none, or does not play, is not kept.

        Files that another process is writing are left alone. Raises OSError.
        """
        for held in list(self._scan()):
            if held.name.partial:
                with claimed(held.path) as file:
                    if file is not None:
                        self._finish(held, file)

    def _delete_oldest(self, quota: int) -> None:
        held = sorted(self._scan(), key=lambda one: one.name.number)
        excess = sum(one.size for one in held) - quota
        for one in held:
            if excess <= 0:
                return
            if not one.name.partial:
                one.path.unlink(missing_ok=True)
                excess -= one.size
                self._events.publish("record.pruned", name=one.name.text, bytes=one.size)

    def _finish(self, held: Held, file: BinaryIO) -> None:
        length = sound_length(file)
        if length == 0:
            held.path.unlink()
            self._events.publish("record.discarded", name=held.name.text, reason="it holds no whole frame")
            return
        os.ftruncate(file.fileno(), length)
        os.fsync(file.fileno())
        name = held.name.text
        if not _plays(held.path):
            held.path.rename(self.folder / (name + DAMAGED))
            self._events.publish("record.discarded", name=name + DAMAGED, reason="it cannot be decoded")
            return
        while os.path.lexists(self.folder / name):
            name = name.replace(f"{held.name.number:06d}.", f"{self._next:06d}.")
            self._next += 1
        held.path.rename(self.folder / name)
        sync_folder(self.folder)
        self._events.publish("record.recovered", name=name, bytes=length)

    def _scan(self) -> Iterator[Held]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                name = parse_name(entry.name)
                if name is not None and entry.is_file(follow_symlinks=False):
                    try:
                        size = entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:
                        continue  # gone meanwhile
                    yield Held(name, Path(entry.path), size)


def _plays(path: Path) -> bool:
    av = extras.require("av", "live")
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0), None) is not None
    except av.FFmpegError:
        return False
