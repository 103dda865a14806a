"""`/metrics` for boxes that run without the viewer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from threading import Thread

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.live.status import Status
from edgeseg_runtime.telemetry.prometheus import CONTENT_TYPE, metrics_text


class MetricsServer:
    """Answers GET /metrics, one request at a time, to whoever reaches it. Raises OutputError if it cannot listen."""

    def __init__(self, status: Callable[[], Status], host: str = "127.0.0.1", port: int = 9464) -> None:
        handler = type("Handler", (_Handler,), {"status": staticmethod(status)})
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise OutputError(f"metrics cannot be served on {host}:{port}: {error.strerror or error}") from error
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="edgeseg-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more. May be called again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)


class _Server(TCPServer):  # HTTPServer would ask the name service who it is, and wait for the answer
    allow_reuse_address = True


class _Handler(BaseHTTPRequestHandler):
    status: Callable[[], Status]
    timeout = 2.0  # a socket that says nothing must not keep the others waiting

    def do_GET(self) -> None:
        if self.path.split("?")[0] != "/metrics":
            self.send_error(404)
            return
        page = metrics_text(self.status()).encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        with suppress(ConnectionError):  # who asked has gone, as he may
            self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Keep requests out of the terminal."""
