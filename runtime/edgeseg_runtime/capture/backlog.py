"""Whether newer frames have come already, of a stream that does not say when its frames were made."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import stat
import termios
from contextlib import suppress

_WHOLE = 1.5
"""Times the size of a frame that must be waiting, so that there is a whole newer one among it."""


class Backlog:
    """What waits in the kernel on the one connection that this process has to the network."""

    def __init__(self) -> None:
        """Find it. Where there is none, or several, nothing is ever found waiting."""
        found = _connections()
        self._connection = found.pop() if len(found) == 1 else None
        for other in found:
            other.close()

    def is_newer_than(self, size: int) -> bool:
        """Return whether a whole frame waits behind one of `size` bytes, so that this one is old."""
        if self._connection is None:
            return False
        waiting = array.array("i", [0])
        try:
            fcntl.ioctl(self._connection, termios.FIONREAD, waiting)
        except OSError:
            return False
        return waiting[0] >= _WHOLE * size

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()


def _connections() -> list[socket.socket]:
    """Return this process's TCP connections, as duplicates."""
    found: dict[int, socket.socket] = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers are wanted
        with suppress(OSError):  # the listing had a descriptor of its own, whose number now is free, or a duplicate's
            entry = os.fstat(int(name))
            if not stat.S_ISSOCK(entry.st_mode) or entry.st_ino in found:
                continue
            connection = socket.socket(fileno=os.dup(int(name)))
            if connection.family in (socket.AF_INET, socket.AF_INET6) and connection.type == socket.SOCK_STREAM:
                found[entry.st_ino] = connection
            else:
                connection.close()
    return list(found.values())
