"""Is int8 worth it here? An answer in plain words, with the numbers it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeseg_bench.report import Row

WORTHWHILE = 1.1
"""Int8 has to be this much faster: below that, noise and the trouble of calibrating eat the gain."""


@dataclass(frozen=True)
class Verdict:
    """What to deploy at one number of threads, and why. Ratios are p50 latency of the other ÷ that of int8."""

    threads: int
    worth_it: bool | None
    """None when no int8 artifact, or nothing to compare it with, was measured."""
    use: str
    """Title of the row to deploy."""
    text: str
    over_float32: float | None = None
    """Against the fastest float32 row."""
    over_bf16: float | None = None
    over_float32_onnxruntime: float | None = None
    """Against float32 in ONNX Runtime, what most people deploy."""
    miou_cost: float | None = None
    """Points of mIoU (0..100) that int8 is below the most accurate float32 row; negative: it is above."""
    ap_cost: float | None = None
    """The same in points of mask AP, of instance models."""
    network: str = ""
    """Which network it is about, where several were measured."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def verdicts(rows: Sequence[Row], max_drop: float = 1.0) -> list[Verdict]:
    """Judge every network and number of threads by itself; `max_drop` is what int8 may cost in points of accuracy.

    Networks come in the order of the rows, threads in increasing order. Rows that are no files (the original in
    PyTorch) give the accuracy to compare with, but are no candidates.
    """
    networks = dict.fromkeys(row.network for row in rows)
    return [verdict for network in networks for verdict in _judge_network(network, rows, max_drop)]


def _judge_network(network: str, rows: Sequence[Row], max_drop: float) -> list[Verdict]:
    own = [row for row in rows if row.network == network]
    counts = sorted({row.threads for row in own if row.file is not None})
    return [_judge([row for row in own if row.threads == count], network, count, max_drop) for count in counts]


def _judge(rows: Sequence[Row], network: str, threads: int, max_drop: float) -> Verdict:
    files = [row for row in rows if row.file is not None]
    int8, bf16, float32 = (_fastest(files, precision) for precision in ("int8", "bf16", "float32"))
    others = [row for row in (bf16, float32) if row is not None]
    if int8 is None or not others:
        best = min(files, key=lambda row: row.p50_ms)
        missing = "no int8 artifact was measured" if int8 is None else "only int8 artifacts were measured"
        text = f"{_about(network, threads)}: {missing}; {_praise(best)}."
        return Verdict(threads, None, best.title, text, network=network)
    other = min(others, key=lambda row: row.p50_ms)
    plain = _fastest([row for row in files if row.engine == "onnxruntime"], "float32")
    cost = _cost(rows, int8)
    gain = other.p50_ms / int8.p50_ms
    affordable = cost is None or cost <= max_drop
    worth_it = gain >= WORTHWHILE and affordable
    text = _sentence(int8, bf16, float32, gain, cost, max_drop)
    return Verdict(
        threads=threads,
        worth_it=worth_it,
        use=(int8 if worth_it else other).title,
        text=f"{_about(network, threads)}: {text}",
        over_float32=_ratio(float32, int8),
        over_bf16=_ratio(bf16, int8),
        over_float32_onnxruntime=_ratio(plain, int8),
        **{"ap_cost" if int8.mask_ap is not None else "miou_cost": None if cost is None else round(cost, 3)},
        network=network,
    )


def _sentence(
    int8: Row, bf16: Row | None, float32: Row | None, gain: float, cost: float | None, max_drop: float
) -> str:
    others = [row for row in (float32, bf16) if row is not None]
    other = min(others, key=lambda row: row.p50_ms)
    ratios = " and ".join(f"{row.p50_ms / int8.p50_ms:.2f}× as fast as {row.precision}" for row in others)
    times = ", ".join(f"{row.precision} {row.p50_ms:.2f} ms ({row.name} in {row.engine})" for row in (int8, *others))
    price = "its accuracy was not measured (--data does it)" if cost is None else _price(cost, int8.metric)
    if cost is not None and cost > max_drop:
        return (
            f"int8 is {ratios}, but {price}, more than the {max_drop:g} allowed: stay with {other.precision}. {times}."
        )
    if gain >= WORTHWHILE:
        return f"int8 is worth it here: {ratios}; {price}. {times}."
    if gain > 1:
        return f"int8 gains too little here: {ratios}; {price}: stay with {other.precision}. {times}."
    return f"int8 is slower than {other.precision} here: {ratios}; {price}: stay with {other.precision}. {times}."


def _price(cost: float, metric: str) -> str:
    if abs(cost) < 0.005:
        return f"it costs no {metric}"
    return f"it costs {cost:.2f} {metric} points" if cost > 0 else f"it gains {-cost:.2f} {metric} points"


def _praise(row: Row) -> str:
    return f"the fastest is {row.name} in {row.engine} ({row.precision}, {row.p50_ms:.2f} ms)"


def _about(network: str, threads: int) -> str:
    with_threads = "1 thread" if threads == 1 else f"{threads} threads"
    return f"{network}, with {with_threads}" if network else f"With {with_threads}"


def _fastest(rows: Iterable[Row], precision: str) -> Row | None:
    return min((row for row in rows if row.precision == precision), key=lambda row: row.p50_ms, default=None)


def _ratio(slow: Row | None, fast: Row) -> float | None:
    return None if slow is None else round(slow.p50_ms / fast.p50_ms, 3)


def _cost(rows: Sequence[Row], int8: Row) -> float | None:
    """Return the points of accuracy that int8 loses against the best float32 row, the original included."""
    known = [row.accuracy for row in rows if row.precision == "float32" and row.accuracy is not None]
    if int8.accuracy is None or not known:
        return None
    return 100 * (max(known) - int8.accuracy)
