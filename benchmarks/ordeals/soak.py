"""A camera for a minute and a half, twenty seconds of them to get warm: what grows."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ordeals import judge
from ordeals.process_tree import Usage, usage
from ordeals.stage import SIZE, Stage, camera, how_ended, pause, settle
from ordeals.trace import Trace
from ordeals.words import clipped
from tests.servers.scene import Scene

FPS = 25.0
WARM_SECONDS, SECONDS, EVERY = 20.0, 75.0, 2.5


def run(stage: Stage) -> dict[str, Any]:
    """Look at the process and its children every few seconds, once it is warm."""
    with camera(Scene(SIZE, FPS)) as server, stage.running([server.url]) as running:
        settle(running)
        pause(running, WARM_SECONDS)
        begin, samples = monotonic(), list[Usage]()
        while monotonic() < begin + SECONDS and not running.over():
            samples.append(usage(running.pid, monotonic()))
            pause(running, begin + EVERY * len(samples) - monotonic())
        return figures(running.trace, samples)


def figures(trace: Trace, samples: list[Usage]) -> dict[str, Any]:
    """Judge what was seen of the processes, and the trace between the first and the last look at them."""
    if not samples:
        return {"samples": 0, "ended": how_ended(trace)}
    pictures = sum(samples[0].at <= one.at < samples[-1].at for one in trace.shown)
    return {**judge.growth(samples, pictures), "ended": how_ended(trace)}


def cell(figures: dict[str, Any]) -> str:
    """Say it in a few words."""
    if figures["samples"] < 3:
        return clipped(figures["ended"]) or "not measured"
    counts = [f"{name} {figures[name][0]} → {figures[name][1]}" for name in ("descriptors", "threads")]
    words = [
        f"{figures['memory_mb']:.0f} MB, {figures['memory_mb_an_hour']:+.1f} MB an hour",
        *counts,
        f"{figures['pictures']} pictures",
    ]
    return "; ".join([*words, *([clipped(figures["ended"])] if figures["ended"] else [])])
