"""Find out soon when a camera that vanished is back."""

from __future__ import annotations

import socket
import urllib.request
from time import monotonic
from urllib.parse import urlsplit

from edgeseg_runtime.capture.states import Lost, Reason

VANISHED: frozenset[Reason] = frozenset({"timeout", "no frames", "unreachable"})
"""Ways of losing a camera after which it may answer nothing at all, not even that it refuses."""

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}
_ONE_SECONDS = 0.8
"""Until a new attempt. Left to itself the kernel asks an address that is silent after 1, 3 and 7 s, and so would find
a camera up to 4 s after its return."""


def knock(url: str, timeout: float) -> None:
    """Wait until the camera takes connections. Raises Lost after `timeout` seconds of silence.

    Returns at once where nothing can be found out in this way: of other protocols, and with a proxy on the way. What is
    refused, or cannot be resolved, is left to whoever connects, who finds out why.
    """
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname
    port = parts.port or _PORTS.get(scheme)
    if scheme not in _PORTS or host is None or port is None or scheme in urllib.request.getproxies():
        return
    end = monotonic() + timeout
    while (left := end - monotonic()) > 0:
        try:
            socket.create_connection((host, port), min(_ONE_SECONDS, left)).close()
        except TimeoutError:
            continue
        except OSError:
            return
        return
    raise Lost("timeout", "nothing at its address answers")
