"""The viewer as an output of a stream."""

from __future__ import annotations

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.web.server import WebServer


class WebSink(Sink[None]):
    """Hands the newest frame of every camera to a viewer, which encodes it if somebody looks.

    The server is not closed with it: it goes on showing that the stream has ended until its owner closes it.
    """

    name = "web"

    def __init__(self, server: WebServer) -> None:
        self._server = server

    def encode(self, shot: Shot) -> None:
        """Do nothing: whether a picture is wanted is known only to the server."""

    def write(self, shot: Shot, encoded: None) -> None:  # noqa: ARG002
        """Leave the frame with the server. Raises OutputError once for every trouble that the server had since."""
        self._server.hub.put(shot)
        if trouble := self._server.trouble():
            raise OutputError(f"the viewer: {trouble}")

    def close(self) -> None:
        """The server's owner closes it."""
