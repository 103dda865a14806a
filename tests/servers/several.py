"""Cameras that all go away at the end, whatever became of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeVar

from tests.servers.base import CameraServer
from tests.servers.scene import Scene

AnyServer = TypeVar("AnyServer", bound=CameraServer)


class Serve(Protocol):
    """Makes a camera of a kind, listening unless it is to be absent at first."""

    def __call__(self, kind: type[AnyServer], scene: Scene | None = None, *, up: bool = True) -> AnyServer: ...


@contextmanager
def camera_servers() -> Iterator[Serve]:
    """Give a function that makes cameras."""
    with ExitStack() as ending:

        def make(kind: type[AnyServer], scene: Scene | None = None, *, up: bool = True) -> AnyServer:
            server = kind(scene)
            ending.callback(server.down)
            if up:
                server.up()
            return server

        yield make
