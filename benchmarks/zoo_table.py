"""The zoo's table as Markdown, and its points as a picture takes them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgeseg_bench.pareto import front
from edgeseg_bench.report import Row
from run_facts import MEASURED
from table_cells import RUN_HEADERS, THREADS, Measured, fastest_files, measured, pair, run_cells

REFERENCE = "bricknet_s"
"""Run that every bench of a zoo should hold: multiples of its time can be compared across benches."""
REFERENCE_MS = "reference_ms"
"""Milliseconds of its fastest int8 file, among the facts of a bench that held it."""
TIMES = ("p50_ms", "p95_ms", "p99_ms")
"""What of a measured case is milliseconds."""
HEADERS = (
    "run",
    *RUN_HEADERS,
    "float32, ms",
    "int8, ms",
    f"int8, × {REFERENCE}",
    "mIoU of int8",
    "same pixels, float32",
    "same pixels, int8",
    "MB float32 / int8",
)


def markdown(document: dict[str, Any]) -> str:
    """Return the table: names in bold are on the front of int8 latency and mIoU, pairs are ONNX Runtime / OpenVINO."""
    benches = list(document["benches"])
    best = on_front(document)
    sizes = {tuple(run["size"]) for run in document["runs"]}
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + "---|" * len(HEADERS)]
    for run in document["runs"]:
        name = f"**{run['run']}**" if run["run"] in best else run["run"]
        mark = f" ({_letter(benches, run['bench'])})" if len(benches) > 1 else ""
        name += " {}×{}".format(*run["size"]) if len(sizes) > 1 else ""
        lines.append("| " + " | ".join([name + mark, *_cells(run, document["benches"][run["bench"]])]) + " |")
    if len(benches) > 1:
        told = ", ".join(f"({_letter(benches, made)}) {made}" for made in benches)
        lines += [
            "",
            f"Measured in several benches, whose milliseconds are not to be compared with each other: {told}.",
        ]
    return "\n".join(lines)


def on_front(document: dict[str, Any]) -> set[str]:
    """Return the runs with an int8 file that no comparable other is better than in one thing and worse in none.

    The two things are its latency on one thread and its mIoU. Comparable are all that were measured beside the
    reference, and else those of one bench.
    """
    comparable: dict[str, list[tuple[str, float, float]]] = {}
    for run in document["runs"]:
        reference = document["benches"][run["bench"]].get(REFERENCE_MS)
        comparable.setdefault(REFERENCE if reference else run["bench"], []).extend(
            (run["run"], case["p50_ms"] / (reference or 1), item["mean_iou"])
            for item, case in measured(run, "int8")
            if case["threads"] == THREADS
        )
    return {
        found[index][0] for found in comparable.values() for index in front([(cost, value) for _, cost, value in found])
    }


def fastest_ms(run: dict[str, Any]) -> float | None:
    """Return the milliseconds of a run's fastest int8 file on one thread; None where none passed its gate."""
    return min((float(case["p50_ms"]) for _, case in filter(None, fastest_files(run, "int8"))), default=None)


def int8_points(document: dict[str, Any]) -> list[Row]:
    """Return the latencies of all int8 files that can be compared as rows of a bench, named by their runs.

    Milliseconds are those of the bench with the most runs; of another one they are brought there by the reference that
    both hold, and without it in both they are left out.
    """
    benches, runs = document["benches"], document["runs"]
    home, _ = Counter(run["bench"] for run in runs).most_common(1)[0]
    scales = {made: _scale(benches[home], facts) for made, facts in benches.items()} | {home: 1.0}
    return [
        Row(
            name=run["run"],
            precision="int8",
            file=None,
            stages_ms=None,
            mean_iou=item["mean_iou"],
            **{key: case[key] for key in MEASURED}
            | {key: case[key] * scale for key in TIMES}
            | {"fps": case["fps"] / scale},
        )
        for run in runs
        if (scale := scales[run["bench"]]) is not None
        for item, case in measured(run, "int8")
    ]


def _scale(home: dict[str, Any], other: dict[str, Any]) -> float | None:
    """Return what one bench's milliseconds are times another's; None without the reference in both."""
    times = home.get(REFERENCE_MS), other.get(REFERENCE_MS)
    return times[0] / times[1] if times[0] and times[1] else None


def _cells(run: dict[str, Any], bench: dict[str, Any]) -> list[str]:
    float32, int8 = fastest_files(run, "float32"), fastest_files(run, "int8")
    return [
        *run_cells(run),
        pair(float32, lambda _, case: f"{case['p50_ms']:.2f}"),
        pair(int8, lambda _, case: f"{case['p50_ms']:.2f}"),
        _multiple(fastest_ms(run), bench.get(REFERENCE_MS)),
        pair(int8, lambda item, _: f"{100 * item['mean_iou']:.2f}"),
        *(pair(files, lambda item, _: f"{100 * item['agreement']:.2f} %") for files in (float32, int8)),
        f"{_megabytes(float32)} / {_megabytes(int8)}",
    ]


def _multiple(own: float | None, reference: float | None) -> str:
    return f"{own / reference:.2f}" if own and reference else "–"


def _megabytes(files: list[Measured | None]) -> str:
    sizes = [one[0]["bytes"] for one in files if one is not None]
    return f"{min(sizes) / 1e6:.1f}" if sizes else "–"


def _letter(benches: list[str], made: str) -> str:
    return chr(ord("a") + benches.index(made))
