"""Inference takes three frame times of the camera: how old is what is given out, and does it grow older."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ordeals import judge
from ordeals.stage import SIZE, Stage, camera, how_ended, pause, settle
from ordeals.trace import Trace
from ordeals.words import clipped
from tests.servers.scene import Scene

FPS, TIMES = 30.0, 3.0
SECONDS = 15.0


def run(stage: Stage) -> dict[str, Any]:
    """Hold inference back."""
    with camera(Scene(SIZE, FPS)) as server, stage.running([server.url], inference_seconds=TIMES / FPS) as running:
        settle(running)
        begin = monotonic()
        pause(running, SECONDS)
        return figures(running.trace, begin, begin + SECONDS)


def figures(trace: Trace, begin: float, end: float) -> dict[str, Any]:
    """Judge a trace between two moments."""
    return {**judge.ages_ms(trace.shown, begin, end), "ended": how_ended(trace)}


def cell(figures: dict[str, Any]) -> str:
    """Say it in a few words."""
    if not figures["pictures"]:
        return clipped(figures["ended"]) or "gave no picture"
    first, last = figures["mask_first_third_p50"], figures["mask_last_third_p50"]
    words = [
        f"picture p50 {figures['picture_p50']:.0f} ms, p99 {figures['picture_p99']:.0f}",
        f"mask p50 {figures['mask_p50']:.0f}, p99 {figures['mask_p99']:.0f}",
        "no trend known" if first is None or last is None else f"first third {first:.0f}, last third {last:.0f}",
        f"{figures['shown_fps']:g} a second",
    ]
    return "; ".join([*words, *([clipped(figures["ended"])] if figures["ended"] else [])])
