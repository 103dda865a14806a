"""Messages between a parent and its child: JSON, one a packet, with file descriptors if wanted."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Mapping, Sequence
from typing import Any

LIMIT = 1 << 16
"""Bytes of the longest message. Pictures go through shared memory."""
MAX_FDS = 4


class LinkClosed(Exception):  # noqa: N818 - the ordinary end of a child, not a fault of ours
    """The other side is gone."""


class Link:
    """One end of a SOCK_SEQPACKET pair. One thread sends and one receives; they need not be the same."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.setblocking(False)

    @classmethod
    def pair(cls) -> tuple[Link, socket.socket]:
        """Return this process's end, and the socket that the child is to inherit."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = (), timeout: float = 1.0) -> None:
        """Send a message. Raises LinkClosed, and TimeoutError when the other side reads nothing for `timeout` s."""
        data = json.dumps(message).encode()
        if len(data) > LIMIT:
            raise ValueError(f"a message of {len(data)} bytes; at most {LIMIT} fit")
        try:
            if not self._wait(select.POLLOUT, timeout):
                raise TimeoutError("the other process reads no messages")
            socket.send_fds(self._socket, [data], fds)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise LinkClosed from error

    def receive(self, timeout: float | None = None) -> tuple[dict[str, Any], list[int]] | None:
        """Return the next message and the descriptors that came with it, None after `timeout` s. Raises LinkClosed."""
        if not self._wait(select.POLLIN, timeout):
            return None
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, LIMIT, MAX_FDS)
        except ConnectionResetError as error:
            raise LinkClosed from error
        if not data:
            raise LinkClosed
        return json.loads(data), list(fds)

    def close(self) -> None:
        """Hang up; the other side's next `receive` raises LinkClosed."""
        self._socket.close()

    def _wait(self, what: int, timeout: float | None) -> bool:
        if self._socket.fileno() < 0:
            raise LinkClosed
        poll = select.poll()
        poll.register(self._socket, what)
        return bool(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))
