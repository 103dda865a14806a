"""Four cameras, and one of them goes: what the others lose."""

from __future__ import annotations

from contextlib import ExitStack
from time import monotonic
from typing import Any

from ordeals import judge
from ordeals.stage import SIZE, Stage, camera, how_ended, pause, settle
from ordeals.trace import Trace
from ordeals.words import clipped, false_words
from tests.servers.scene import Scene

CAMERAS, FPS = 4, 15.0
SECONDS = 8.0
"""Before, and after."""


def run(stage: Stage) -> dict[str, Any]:
    """Take the last camera away."""
    with ExitStack() as stack:
        servers = [stack.enter_context(camera(Scene(SIZE, FPS))) for _ in range(CAMERAS)]
        running = stack.enter_context(stage.running([server.url for server in servers]))
        settle(running, CAMERAS)
        pause(running, SECONDS)
        gone_at = monotonic()
        servers[-1].down()
        pause(running, gone_at + SECONDS - monotonic())
        return figures(running.trace, gone_at, SECONDS)


def figures(trace: Trace, gone_at: float, seconds: float) -> dict[str, Any]:
    """Judge a trace by when the last camera went: the others' pictures of now, so long before and after."""
    before, after = gone_at - seconds, gone_at + seconds
    others = [trace.of(source) for source in range(CAMERAS - 1)]
    rates = [(judge.rate(shown, before, gone_at), judge.rate(shown, gone_at, after)) for shown in others]
    given = sum(first for first, _ in rates)
    return {
        "fps_before": round(given / len(others), 2),
        "fps_after": round(sum(then for _, then in rates) / len(others), 2),
        "lost_percent": round(100 * (1 - sum(then for _, then in rates) / given), 1) if given else None,
        "longest_gap_before": round(max(judge.longest_gap(shown, before, gone_at) for shown in others), 3),
        "longest_gap_after": round(max(judge.longest_gap(shown, gone_at, after) for shown in others), 3),
        "given_as_live": judge.false_pictures(trace.shown, gone_at, after),
        "noticed": judge.noticed_before(trace, gone_at, after, CAMERAS - 1),
        "ended": how_ended(trace),
    }


def cell(figures: dict[str, Any]) -> str:
    """Say it in a few words."""
    if figures["lost_percent"] is None:
        return "the cameras gave no pictures of now"
    words = [
        f"the others: {figures['fps_before']:g} → {figures['fps_after']:g} of {FPS:g} pictures a second each",
        f"longest gap {figures['longest_gap_before']:.2f} → {figures['longest_gap_after']:.2f} s",
        false_words(figures["given_as_live"]),
    ]
    return "; ".join([*words, *([clipped(figures["ended"])] if figures["ended"] else [])])
