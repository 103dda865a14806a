"""The child's side: its link to the parent, and its end with it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from threading import Thread

from edgeseg_runtime.processes.link import Link, LinkClosed


def serve(work: Callable[[Link], None]) -> None:
    """Run `work` over the link that was inherited, until it returns or the parent is gone.

    The parent's end is noticed by a thread that waits for the lifeline to close: engines and decoders let other
    threads run while they block, so it comes about even in the middle of a read that never returns.
    """
    link_fd, lifeline = int(sys.argv[1]), int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when it is over
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with_parent, args=(lifeline,), name="edgeseg-lifeline", daemon=True).start()
    try:
        work(Link(socket.socket(fileno=link_fd)))
    except LinkClosed:
        os._exit(0)  # not through clean-ups, which may wait for a device that does not answer


def _end_with_parent(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os._exit(0)
