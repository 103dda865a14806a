"""The camera wants another password (Digest), for twenty seconds."""

from __future__ import annotations

import re
from time import monotonic
from typing import Any

from ordeals.stage import SIZE, Stage, camera, how_ended, pause
from ordeals.trace import Trace
from ordeals.words import clipped
from tests.servers.scene import Scene

SECONDS = 20.0
RIGHT, WRONG = "the-right-one", "n0t-the-r1ght-one"
REASON = re.compile(r"\b40[13]\b|\bauth|unauthori|password|credential", re.IGNORECASE)


def run(stage: Stage) -> dict[str, Any]:
    """Let it try."""
    scene = Scene(SIZE, credentials=("joe", RIGHT), auth="digest")
    with camera(scene) as server, stage.running([server.url_with("joe", WRONG)]) as running:
        pause(running, SECONDS)
        return figures(running.trace, server.refusals, monotonic())


def figures(trace: Trace, refusals: int, end: float) -> dict[str, Any]:
    """Judge a trace by how often the camera refused the password until nobody looked any more."""
    began = trace.started_at or 0.0
    last = end if trace.over_at is None else trace.over_at
    said = [one.text for one in trace.said if one.at >= began]
    return {
        "attempts": refusals,
        "seconds": round(last - began, 1),
        "attempts_a_minute": None if trace.over_at is not None else round(refusals / (last - began) * 60, 1),
        "reason": next((text.strip() for text in said if REASON.search(text.replace(WRONG, "…"))), None),
        "password_shown": any(WRONG in text for text in said),
        "ended": how_ended(trace).replace(WRONG, "…"),
    }


def cell(figures: dict[str, Any]) -> str:
    """Say it in a few words."""
    if figures["ended"]:
        words = [f"gave up after {figures['attempts']}: {clipped(figures['ended'])}"]
    else:
        words = [f"{figures['attempts_a_minute']:g} attempts a minute"]
    reason = figures["reason"]
    words.append("reason not named" if reason is None else f"named: {clipped(reason.replace(WRONG, '…'))}")
    return "; ".join([*words, *(["password shown in the clear"] if figures["password_shown"] else [])])
