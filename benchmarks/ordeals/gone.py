"""The camera is away for ten seconds: its port refuses, open connections are closed. Then it is back."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ordeals import judge
from ordeals.stage import Stage, camera, how_ended, pause, settle
from ordeals.trace import Trace
from ordeals.words import outage_words

AWAY_SECONDS = 10.0
BACK_SECONDS = 20.0
AFTER_SECONDS = 2.0
"""Watched after it came back, for old pictures."""


def run(stage: Stage) -> dict[str, Any]:
    """Take the camera away and bring it back."""
    with camera() as server, stage.running([server.url]) as running:
        settle(running)
        gone_at = monotonic()
        server.down()
        pause(running, gone_at + AWAY_SECONDS - monotonic())
        back_at = monotonic()
        server.up()
        if running.wait(lambda trace: judge.fresh(trace.shown, back_at) is not None, BACK_SECONDS):
            pause(running, AFTER_SECONDS)
        return figures(running.trace, gone_at, back_at, monotonic())


def figures(trace: Trace, gone_at: float, back_at: float, end: float) -> dict[str, Any]:
    """Judge a trace by when the camera went and came, and when nobody looked any more."""
    back = judge.fresh(trace.shown, back_at)
    return {
        "noticed": judge.noticed_before(trace, gone_at, end),
        "back_seconds": None if back is None else round(back.at - back_at, 3),
        "given_as_live": judge.false_pictures(trace.shown, gone_at, end),
        "ended": how_ended(trace),
        "watched_seconds": round(end - gone_at, 1),
    }


def cell(figures: dict[str, Any]) -> str:
    """Say it in a few words."""
    return outage_words(figures, BACK_SECONDS)
