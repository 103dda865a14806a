"""What a running stream shows on a terminal, once a second, and what it says at its end."""

from __future__ import annotations

import shutil
import sys
from time import monotonic

from edgeseg_runtime.stats import Spread, StreamStats, StreamSummary, spreads


class LiveLine:
    """Rewrites one line on stderr with the last second's figures; milliseconds, p50/p99."""

    def __init__(self) -> None:
        self._at, self._emitted = monotonic(), 0
        self._counts = StreamStats().counts()

    def __call__(self, stats: StreamStats, dropped: int) -> None:
        """Show what happened since the last call."""
        now, counts = monotonic(), stats.counts()
        fps = (stats.emitted - self._emitted) / (now - self._at)
        age, stages = spreads(counts - self._counts)
        self._at, self._emitted, self._counts = now, stats.emitted, counts
        text = f"{fps:.1f} fps · {dropped} dropped · age {age} ms · {stage_text(stages)}"
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]}\x1b[K", end="", file=sys.stderr, flush=True)

    @staticmethod
    def clear() -> None:
        """Take the line away."""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def stage_text(stages: dict[str, Spread]) -> str:
    """Return `take 0.4/0.9 · preprocess …`, in milliseconds, p50/p99."""
    return " · ".join(f"{name} {spread}" for name, spread in stages.items())


def summary_text(summary: StreamSummary) -> str:
    """Return the lines a person reads at the end."""
    head = f"{summary.source}: {summary.emitted} frames in {summary.seconds:.2f} s, {summary.fps:.1f} fps"
    if summary.live:
        head += f", {summary.dropped} of {summary.captured} captured dropped"
    return f"{head}\n  ms, p50/p99: frame age {summary.age} · {stage_text(summary.stages)}" if summary.emitted else head
