"""Traces made by hand, for the judge of the peers."""

from __future__ import annotations

from collections.abc import Iterable

from ordeals.trace import Ended, Said, Shown, Trace


def steady(begin: float, end: float, fps: float = 10.0, age: float = 0.05, source: int = 0) -> list[Shown]:
    """Pictures given out evenly, each `age` seconds old."""
    count = round((end - begin) * fps)
    return [Shown(begin + n / fps, source, begin + n / fps - age) for n in range(count)]


def trace(shown: Iterable[Shown], said: Iterable[Said] = (), ended: Ended | None = None) -> Trace:
    return Trace(started_at=0.0, shown=list(shown), said=list(said), ended=ended)
