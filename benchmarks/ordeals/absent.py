"""The camera is not there at the start. It comes after five seconds; or ctrl-C is pressed while it is waited for."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ordeals import judge
from ordeals.stage import SIZE, Stage, camera, how_ended, pause
from ordeals.trace import Trace
from ordeals.words import clipped, false_words, seconds_words
from tests.servers.scene import Scene

ABSENT_SECONDS = 5.0
CONNECT_SECONDS = 20.0
BEFORE_STOP_SECONDS = 5.0
"""Enough for one that gives up at once to have ended by itself."""
STOP_SECONDS = 6.0


def run(stage: Stage) -> dict[str, Any]:
    """Start without the camera, three times."""
    with camera(up=False) as server, stage.running([server.url]) as running:
        pause(running, ABSENT_SECONDS)
        here_at = monotonic()
        server.up()
        running.wait(lambda trace: judge.fresh(trace.shown, here_at) is not None, CONNECT_SECONDS)
        arrival = figures(running.trace, here_at, monotonic())
    return {**arrival, "stop_refused": _stop(stage, refused=True), "stop_unanswered": _stop(stage, refused=False)}


def figures(trace: Trace, here_at: float, end: float) -> dict[str, Any]:
    """Judge a trace by when the camera appeared."""
    first = judge.fresh(trace.shown, here_at)
    return {
        "connected_seconds": None if first is None else round(first.at - here_at, 3),
        "given_as_live": judge.false_pictures(trace.shown, 0.0, end),
        "ended": how_ended(trace),
    }


def _stop(stage: Stage, *, refused: bool) -> dict[str, Any]:
    """Press ctrl-C while the port refuses, or while the camera took the connection and does not answer."""
    with (
        camera(Scene(SIZE, delay=3600.0), up=not refused) as server,
        stage.running([server.url]) as running,
    ):
        pause(running, BEFORE_STOP_SECONDS)
        gave_up = running.over()
        seconds = None if gave_up else running.interrupt(STOP_SECONDS)
        return {"seconds": judge.rounded(seconds, 3), "gave_up": gave_up}


def cell(figures: dict[str, Any]) -> str:
    """Say it in a few words."""
    ended = clipped(figures["ended"])
    words = [seconds_words("connected after", figures["connected_seconds"], ended or f"not in {CONNECT_SECONDS:g} s")]
    for name in ("refused", "unanswered"):
        stop = figures[f"stop_{name}"]
        otherwise = "nothing to stop, it had given up" if stop["gave_up"] else f"not in {STOP_SECONDS:g} s"
        words.append(seconds_words(f"stop while {name}", stop["seconds"], f"stop while {name}: {otherwise}"))
    return "; ".join([*words, false_words(figures["given_as_live"])])
