"""A viewer for every test, closed after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgeseg_runtime.address import Address
from edgeseg_runtime.web.server import WebServer

Serving = Callable[..., WebServer]


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Return a function that starts a viewer on a free port of this machine, with what WebServer takes."""
    servers: list[WebServer] = []

    def start(*arguments: Any, host: str = "127.0.0.1", **named: Any) -> WebServer:
        server = WebServer(Address(host, 0), *arguments, **named)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.close()
