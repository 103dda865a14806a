"""Does int8 gain anything here, kind of operator by kind, and what to run if not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeseg_bench.kernels import KindTime

NOTICED_SHARE, NOTICED_MS = 1.1, 0.02
"""Int8 counts as slower where it takes this many times as long, and this many ms more: the rest is noise."""


@dataclass(frozen=True)
class KindGain:
    """One kind of operator in a float32 file and in its int8 twin; 0 ms where a file has none of it."""

    kind: str
    float32_ms: float
    int8_ms: float

    @property
    def slower(self) -> bool:
        """Whether int8 takes longer by more than noise."""
        return self.int8_ms > max(NOTICED_SHARE * self.float32_ms, self.float32_ms + NOTICED_MS)


def compare(float32: Sequence[KindTime], int8: Sequence[KindTime]) -> list[KindGain]:
    """Put the kinds of both files beside each other, the largest difference of times first."""
    ours, theirs = ({row.kind: row.ms for row in rows} for rows in (float32, int8))
    rows = [KindGain(kind, ours.get(kind, 0.0), theirs.get(kind, 0.0)) for kind in dict.fromkeys([*ours, *theirs])]
    return sorted(rows, key=lambda row: -abs(row.int8_ms - row.float32_ms))


def recommend(p50_ms: Mapping[tuple[str, str], float], gains: Mapping[str, Sequence[KindGain]]) -> list[str]:
    """Say what to run on this machine, a line for each engine whose int8 is not the fastest and one for all of them.

    `p50_ms` are the times of whole frames by (engine, precision); `gains` the operators by engine.
    """
    lines = []
    for engine in dict.fromkeys(engine for engine, _ in p50_ms):
        times = {precision: value for (other, precision), value in p50_ms.items() if other == engine}
        others = {precision: value for precision, value in times.items() if precision != "int8"}
        if "int8" not in times or not others:
            continue
        best = min(others, key=others.__getitem__)
        if times["int8"] >= others[best]:
            lost = [row for row in gains.get(engine, ()) if row.slower]
            why = ", ".join(f"{row.kind} {row.float32_ms:.2f} → {row.int8_ms:.2f}" for row in lost[:3])
            lines.append(
                f"int8 is not faster in {engine} here: {times['int8']:.2f} ms, {best} {others[best]:.2f} ms"
                + (f" (slower: {why} ms)" if why else "")
            )
    if p50_ms:
        engine, precision = min(p50_ms, key=p50_ms.__getitem__)
        lines.append(f"fastest here: {precision} in {engine}, {p50_ms[engine, precision]:.2f} ms a frame")
    return lines
