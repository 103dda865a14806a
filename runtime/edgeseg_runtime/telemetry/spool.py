"""What waits to be delivered: in order, bounded, and on disk still there after a restart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable

from edgeseg_runtime.errors import ConfigError


class Spool(ABC):
    """Records that were accepted and not yet acknowledged, oldest first. Used by one thread at a time.

    At most `max_records` and `max_bytes`; where one more does not fit, the oldest are dropped and counted. A record is
    read with `peek` and leaves with `acknowledge`, after its delivery: it may be delivered twice, but is not forgotten.
    """

    def __init__(self, max_records: int = 10_000, max_bytes: int = 16_000_000) -> None:
        if max_records < 1 or max_bytes < 1:
            raise ConfigError(f"a spool needs room for a record and a byte, got {max_records} and {max_bytes}")
        self.max_records, self.max_bytes = max_records, max_bytes
        self.size = 0
        """Bytes of the records that wait."""
        self.dropped = 0
        """Records that were given up since the spool was opened: the oldest where it was full, and what did not fit."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of records that wait."""

    def append(self, records: Iterable[bytes]) -> None:
        """Accept records. Raises OutputError when the disk does not take them; they are then dropped and counted."""
        fitting = []
        for record in records:
            if len(record) <= self.max_bytes:
                fitting.append(record)
            else:
                self.dropped += 1
        if fitting:
            self._store(fitting)
        self._keep_bounds()

    @abstractmethod
    def peek(self, most: int) -> list[bytes]:
        """Return up to `most` of the oldest records, which stay."""

    @abstractmethod
    def acknowledge(self, number: int) -> None:
        """Forget the oldest `number` records: they were delivered."""

    def close(self) -> None:  # noqa: B027 - in memory there is nothing to let go of
        """Let go of files. What waits stays for the next one that opens it."""

    @abstractmethod
    def _store(self, records: list[bytes]) -> None: ...

    @abstractmethod
    def _forget(self, number: int) -> None: ...

    @abstractmethod
    def _sizes(self) -> Iterable[int]:
        """Sizes of the records that wait, oldest first."""

    def _keep_bounds(self) -> None:
        count, size, surplus = len(self), self.size, 0
        for length in self._sizes():
            if count <= self.max_records and size <= self.max_bytes:
                break
            count, size, surplus = count - 1, size - length, surplus + 1
        if surplus:
            self.dropped += surplus
            self._forget(surplus)


class MemorySpool(Spool):
    """Keeps records in memory: what waits when the process ends is lost."""

    def __init__(self, max_records: int = 10_000, max_bytes: int = 16_000_000) -> None:
        super().__init__(max_records, max_bytes)
        self._records: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._records)

    def peek(self, most: int) -> list[bytes]:
        """Return up to `most` of the oldest records."""
        return [record for record, _ in zip(self._records, range(most), strict=False)]

    def acknowledge(self, number: int) -> None:
        """Forget the oldest `number` records."""
        self._forget(number)

    def _store(self, records: list[bytes]) -> None:
        self._records.extend(records)
        self.size += sum(map(len, records))

    def _forget(self, number: int) -> None:
        for _ in range(number):
            self.size -= len(self._records.popleft())

    def _sizes(self) -> Iterable[int]:
        return map(len, self._records)
