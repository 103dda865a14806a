"""What a running stream shows on a terminal, once a second, and what it says at its end."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from edgeseg_runtime.stats import Spread, StreamStats, StreamSummary, spreads

if TYPE_CHECKING:
    from edgeseg_runtime.instances.counts import Counts
    from edgeseg_runtime.live.status import CameraStatus, ModelStatus, OutputStatus, Percentiles, Status
    from edgeseg_runtime.live.summary import LiveSummary
    from edgeseg_runtime.zones.areas import ZoneShares


class LineOnTerminal:
    """Rewrites one line on stderr."""

    def show(self, text: str) -> None:
        """Put `text` in the line's place, cut to the terminal's width."""
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]}\x1b[K", end="", file=sys.stderr, flush=True)

    @staticmethod
    def clear() -> None:
        """Take the line away."""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class RecordingLine(LineOnTerminal):
    """The last second's figures of a recording; milliseconds, p50/p99."""

    def __init__(self) -> None:
        self._at, self._emitted = monotonic(), 0
        self._counts = StreamStats().counts()

    def __call__(self, stats: StreamStats) -> None:
        """Show what happened since the last call."""
        now, counts = monotonic(), stats.counts()
        fps = (stats.emitted - self._emitted) / (now - self._at)
        _, stages = spreads(counts - self._counts)
        self._at, self._emitted, self._counts = now, stats.emitted, counts
        self.show(f"{fps:.1f} fps · {stats.emitted} frames · {stage_text(stages)}")


class CameraLine(LineOnTerminal):
    """Each camera's state and figures."""

    def __call__(self, status: Status) -> None:
        """Show how it stands."""
        self.show(" | ".join(camera_text(camera) for camera in status.cameras))


@contextmanager
def live_line(kind: type[LineOnTerminal]) -> Iterator[Any]:
    """Give the watcher that a terminal gets; None where stderr is none."""
    if not sys.stderr.isatty():
        yield None
        return
    line = kind()
    try:
        yield line
    finally:
        line.clear()


def camera_text(camera: CameraStatus) -> str:
    """Return one camera's state, rates and ages."""
    state = camera.state if camera.reason is None else f"{camera.state} ({camera.reason})"
    lost = sum(camera.account.dropped.values()) + camera.account.failed
    age = f"mask age {_ms(camera.mask_age.p50)}/{_ms(camera.mask_age.p99)} ms"
    return f"{camera.name} {state} · {camera.shown_fps:.1f} of {camera.captured_fps:.1f} fps · {lost} dropped · {age}"


def stage_text(stages: dict[str, Spread]) -> str:
    """Return `take 0.4/0.9 · preprocess …`, in milliseconds, p50/p99."""
    return " · ".join(f"{name} {spread}" for name, spread in stages.items())


def summary_text(summary: StreamSummary) -> str:
    """Return the lines a person reads at the end of a recording."""
    head = f"{summary.source}: {summary.emitted} frames in {summary.seconds:.2f} s, {summary.fps:.1f} fps"
    return f"{head}\n  ms, p50/p99: {stage_text(summary.stages)}" if summary.emitted else head


def live_text(summary: LiveSummary) -> str:
    """Return the lines a person reads at the end of a live stream."""
    status, lines = summary.status, []
    for camera in status.cameras:
        account = camera.account
        dropped = ", ".join(f"{number} {cause}" for cause, number in account.dropped.items() if number) or "0"
        lines.append(
            f"{camera.name} ({camera.title}): {account.captured} captured in {status.uptime_seconds:.1f} s, "
            f"{account.inferred} with a mask of their own, {account.reused} with an earlier one, "
            f"{account.failed} failed, dropped: {dropped}"
        )
        if account.inferred + account.reused:
            lines.append(
                f"  ms, p50/p95/p99: picture age {_three(camera.picture_age)} · mask age {_three(camera.mask_age)}"
            )
        lines += [] if camera.counts is None else [f"  {text}" for text in count_texts(camera.counts)]
    lines += [f"  {text}" for text in [*model_texts(status.model), *map(output_text, status.outputs)]]
    return "\n".join(lines)


def count_texts(counts: Counts) -> list[str]:
    """Return what was counted at each line and zone."""
    texts = [f"line {count.line.name}: in {_numbers(count.into)}; out {_numbers(count.out)}" for count in counts.lines]
    return texts + [f"zone {count.zone.name}: entered by {_numbers(count.entered)}" for count in counts.zones]


def area_texts(areas: ZoneShares) -> list[str]:
    """Return how much of each zone each class covered on average, the largest first, down to a tenth of a percent."""
    texts = []
    for zone, classes in areas.items():
        there = sorted(((share, name) for name, share in classes.items() if share >= 0.0005), reverse=True)
        texts.append(f"zone {zone}: " + (", ".join(f"{share:.1%} {name}" for share, name in there) or "no class"))
    return texts


def _numbers(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items()) or "0"


def model_texts(model: ModelStatus) -> list[str]:
    """Return what was done with the model besides running it as it is."""
    texts = ["masks smoothed over time"] if model.smoothed else []
    if model.sizes:
        used = ", ".join(f"{number} at {size}" for size, number in list(model.sizes.items())[::-1])
        texts.append(f"frames by the model's input size: {used}")
    return texts


def output_text(output: OutputStatus) -> str:
    """Return what an output got, what it lost and why."""
    text = f"{output.name}: {output.written} written"
    if output.dropped:
        text += ", dropped: " + ", ".join(f"{number} {cause}" for cause, number in output.dropped.items())
    return text if output.error is None else f"{text}; last error: {output.error}"


def _three(ages: Percentiles) -> str:
    return "/".join(_ms(value) for value in (ages.p50, ages.p95, ages.p99))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
