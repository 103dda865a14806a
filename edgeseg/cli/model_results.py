"""Measured figures of architectures, as the scripts in `benchmarks` wrote them down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgeseg_runtime.errors import ConfigError

ZOO = "camvid_zoo.json"


def own_results() -> Path | None:
    """Return where a checkout keeps its figures: in the zoo's table, or else in a folder of several files.

    None where edgeseg was installed without its source.
    """
    import edgeseg

    folder = Path(edgeseg.__file__).parents[1] / "benchmarks" / "results"
    if (folder / ZOO).is_file():
        return folder / ZOO
    return folder if folder.is_dir() else None


def read_results(where: Path) -> dict[str, dict[str, Any]]:
    """Return, by architecture, the best float run that `benchmarks/zoo.py` or `compression.py` wrote to `where`.

    It is one of their files, or a folder with some. Raises ConfigError when there is no such file.
    """
    if not where.exists():
        raise ConfigError(f"--results: there is no file or folder {where}")
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(where.glob("*.json")) if where.is_dir() else [where]:
        for measured in _originals(path):
            name = measured.pop("model")
            if name not in found or measured["mean_iou"] > found[name]["mean_iou"]:
                found[name] = measured
    if not found:
        raise ConfigError(f"--results: {where} holds no runs as benchmarks/zoo.py and compression.py write them")
    return found


def remark(measured: dict[str, dict[str, Any]]) -> str:
    """Say what the figures are, by what is known of each."""
    pictures = ", ".join(sorted({one["scored_on"] for one in measured.values()}))
    text = (
        f"mIoU of the best float run ({pictures}); ms a frame of its fastest file that passed the parity gate, on one"
        " thread"
    )
    if len({one["measured_at"] for one in measured.values()}) > 1:
        text += "; not all were measured in one bench, so small differences of time mean nothing"
    return text


def _originals(path: Path) -> list[dict[str, Any]]:
    """Return what a file says of the runs that nothing was taken from; nothing for a file of another kind."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"--results: {path} is damaged: {error}") from error
    runs = document.get("runs", []) if isinstance(document, dict) else []
    return [
        _measured(path, document, run)
        for run in runs
        if run.get("kind") == "original" and "model" in run.get("settings", {})
    ]


def _measured(path: Path, document: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    # the zoo's table has runs of several benches, and says of each what it was scored on
    bench = document["benches"][run["bench"]] if "benches" in document else document["bench"]
    return {
        "model": run["settings"]["model"],
        "file": str(path),
        "scored_on": run.get("scored_on", bench["settings"]["scored_on"]),
        "measured_at": bench["made"],
        "mean_iou": run["mean_iou"],
        **_fastest(run),
    }


def _fastest(run: dict[str, Any]) -> dict[str, Any]:
    """Return the file of a run that takes the least time on one thread, of those that passed the gate."""
    cases = [
        {"artifact": item["name"], "engine": case["engine"], "threads": 1, "p50_ms": case["p50_ms"]}
        for item in run["artifacts"]
        for case in item["latency"]
        if item["verdict"] != "fail" and case["threads"] == 1
    ]
    return min(cases, key=lambda case: float(case["p50_ms"]), default={})
