"""A browser that reads 10 KB a second, fifty idle sockets and a hundred connects: what the pipeline loses to them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

from edgeseg_runtime.address import Address
from ordeals import judge
from ordeals.stage import SIZE, Stage, camera, how_ended, pause, settle
from ordeals.trace import Trace
from tests.runtime.web.crowd import SlowPage
from tests.servers.scene import Scene

FPS = 30.0
SECONDS = 12.0
"""Before the crowd, and with it."""
IDLE, CONNECTS = 50, 100


def run(stage: Stage) -> dict[str, Any]:
    """Look at it all at once."""
    if not stage.subject.has_viewer:
        return {"none": stage.subject.no_viewer}
    with camera(Scene(SIZE, FPS)) as server, stage.running([server.url], viewer=True) as running:
        settle(running)
        assert running.trace.viewer is not None
        place = Place(running.trace.viewer)
        pause(running, SECONDS)
        crowd_at = monotonic()
        with crowd(place) as page:
            answered = sum(_answered(place.address) for _ in _evenly(CONNECTS, SECONDS))
            pause(running, crowd_at + SECONDS - monotonic())
            end = monotonic()
        return {
            **figures(running.trace, crowd_at, end),
            "connects": CONNECTS,
            "connects_answered": answered,
            "pictures_of_the_slow_page": len(page.lags),
        }


def figures(trace: Trace, crowd_at: float, end: float) -> dict[str, Any]:
    """Judge a trace by when the crowd came."""
    before, during = (
        judge.ages_ms(trace.shown, begin, end) for begin, end in ((crowd_at - SECONDS, crowd_at), (crowd_at, end))
    )
    first, then = before.get("shown_fps", 0.0), during.get("shown_fps", 0.0)
    return {
        "before": before,
        "during": during,
        "lost_percent": round(100 * (1 - then / first), 1) if first else None,
        "ended": how_ended(trace),
    }


@dataclass(frozen=True)
class Place:
    """Where the subject's viewer is."""

    url: str

    @property
    def address(self) -> Address:
        """Its host and port."""
        parts = urlsplit(self.url)
        return Address(str(parts.hostname), int(parts.port or 80))


@contextmanager
def crowd(place: Place) -> Iterator[SlowPage]:
    """Open the idle sockets and the slow page."""
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection((place.address.host, place.address.port), 5))
        page = SlowPage(place, lambda: 0, camera="0")
        stack.callback(page.close)
        yield page


def _evenly(times: int, seconds: float) -> Iterator[int]:
    began = monotonic()
    for turn in range(times):
        sleep(max(0.0, began + turn * seconds / times - monotonic()))
        yield turn


def _answered(address: Address) -> bool:
    """Connect, ask for the page and hang up; return whether it came."""
    host = f"{address.host}:{address.port}"
    with suppress(OSError), socket.create_connection((address.host, address.port), 2) as client:
        client.settimeout(2)
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return client.recv(64).startswith(b"HTTP/1.1 200")
    return False


def cell(figures: dict[str, Any]) -> str:
    """Say it in a few words."""
    if "none" in figures:
        return "has no viewer"
    before, during = figures["before"], figures["during"]
    if figures["lost_percent"] is None or not during["pictures"]:
        return figures["ended"] or "gave no picture"
    return "; ".join(
        [
            f"loses {figures['lost_percent']:g} % ({before['shown_fps']:g} → {during['shown_fps']:g} a second)",
            f"picture p99 {before['picture_p99']:.0f} → {during['picture_p99']:.0f} ms",
            f"the slow page got {figures['pictures_of_the_slow_page']} pictures",
            f"{figures['connects_answered']} of {figures['connects']} connects answered",
        ]
    )
