"""The connection stays open, and nothing comes for fifteen seconds; then pictures come again."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ordeals import judge
from ordeals.stage import SIZE, Stage, camera, how_ended, pause, settle
from ordeals.trace import Trace
from ordeals.words import outage_words
from tests.servers.scene import Scene

SILENT_SECONDS = 15.0
BACK_SECONDS = 10.0


def run(stage: Stage) -> dict[str, Any]:
    """Let the camera fall silent."""
    scene = Scene(SIZE)
    with camera(scene) as server, stage.running([server.url]) as running:
        settle(running)
        silent_at = monotonic()
        scene.silent = True
        pause(running, SILENT_SECONDS)
        back_at = monotonic()
        scene.silent = False
        running.wait(lambda trace: judge.fresh(trace.shown, back_at) is not None, BACK_SECONDS)
        return figures(running.trace, silent_at, back_at, monotonic())


def figures(trace: Trace, silent_at: float, back_at: float, end: float) -> dict[str, Any]:
    """Judge a trace by when the camera fell silent and spoke again. Only what was noticed of the silence counts."""
    back = judge.fresh(trace.shown, back_at)
    return {
        "noticed": judge.noticed_before(trace, silent_at, back_at),
        "back_seconds": None if back is None else round(back.at - back_at, 3),
        "given_as_live": judge.false_pictures(trace.shown, silent_at, end),
        "ended": how_ended(trace),
        "watched_seconds": round(back_at - silent_at, 1),
    }


def cell(figures: dict[str, Any]) -> str:
    """Say it in a few words."""
    return outage_words(figures, BACK_SECONDS)
