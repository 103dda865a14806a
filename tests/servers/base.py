"""A camera on the network of this machine that can go away and come back under the same address."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from contextlib import suppress
from pathlib import Path

from tests.servers.scene import Scene


class CameraServer:
    """Listens on a port of its own and serves each viewer in a thread. Subclasses say how."""

    scheme = ""

    def __init__(
        self, scene: Scene | None = None, path: str = "live", certificate: tuple[Path, Path] | None = None
    ) -> None:
        """`certificate` (its file, its key's) makes it speak TLS."""
        self.scene, self.path = scene or Scene(), path
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
            self.scheme += "s"
        with socket.socket() as finder:
            finder.bind(("127.0.0.1", 0))
            self.port: int = finder.getsockname()[1]
        self.requests: list[str] = []
        """The first line of every request that was made, over all its lives."""
        self.refusals = 0
        """Requests with credentials that were wrong."""
        self.viewers = 0
        """Connections that were accepted, over all its lives."""
        self.sent = 0
        """Pictures that were sent, over all its lives."""
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.gone = threading.Event()
        self.gone.set()
        self.lit = threading.Event()
        """Cleared while it has no power: nothing is sent, read or accepted, and nothing is closed."""
        self.lit.set()
        self._waiting: list[socket.socket] = []
        """What fills the queue of a dark camera, so that whoever knocks gets no answer."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/{self.path}"

    def url_with(self, user: str, password: str) -> str:
        return f"{self.scheme}://{user}:{password}@127.0.0.1:{self.port}/{self.path}"

    def up(self) -> None:
        """Come (back)."""
        self.gone.clear()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=16, reuse_port=False)
        self._threads = [threading.Thread(target=self._accept, args=(self._listener,), daemon=True)]
        self._threads[0].start()

    def down(self) -> None:
        """Go: the port refuses, open connections are closed."""
        self.gone.set()
        self.lit.set()
        self._end_listener()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)

    def cut_power(self) -> None:
        """Vanish without a word: open connections stay open and silent, new ones get no answer at all."""
        self.lit.clear()
        self._end_listener()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=0, reuse_port=False)
        while True:
            client = socket.socket()
            client.settimeout(0.1)
            try:
                client.connect(("127.0.0.1", self.port))
            except TimeoutError:
                client.close()
                return
            self._waiting.append(client)

    def restore_power(self) -> None:
        """Start up again, and know nothing of the connections there were."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # closed with a reset, as by a machine that knows nothing of it
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.gone.set()
        self.lit.set()
        for thread in list(self._threads):
            thread.join(5)
        self._end_listener()
        self.up()

    def on(self) -> bool:
        """Wait for power, and return whether to go on."""
        self.lit.wait()
        return not self.gone.is_set()

    def serve(self, connection: socket.socket) -> None:
        """Talk with one viewer until it or this server goes."""
        raise NotImplementedError

    def _end_listener(self) -> None:
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for client in self._waiting:
            client.close()
        self._waiting.clear()

    def _accept(self, listener: socket.socket) -> None:
        while not self.gone.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            self.viewers += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                if self._tls is None:
                    self.serve(connection)
                else:
                    with self._tls.wrap_socket(connection, server_side=True) as secured:
                        self.serve(secured)
        except OSError:
            pass  # the viewer has gone, as it may
        finally:
            with self._lock:
                self._open.discard(connection)


def split_request(data: bytes) -> tuple[str, dict[str, str], bytes] | None:
    """Return the first line, the headers (lower case) and what comes after them; None where they are not all there."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}, rest
