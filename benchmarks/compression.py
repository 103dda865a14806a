"""Put what compression cost and gained into one file that can be committed, and print it as a table for the README.

    edgeseg export runs/base --int8 && edgeseg export runs/half --int8        # … every run
    edgeseg bench  runs/base/export runs/half/export --out runs/compared      # all of them take turns in one process
    python benchmarks/compression.py runs/base runs/half --bench runs/compared/bench.json --out compression.json

The first run is the original that the others are held against. Reads what the verbs left; measures nothing itself.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import App, Parameter

from edgeseg.models.cost import count_macs, count_parameters
from edgeseg.training.checkpoint import BEST, Checkpoint, load_checkpoint
from edgeseg_runtime.errors import EdgesegError, UserError
from edgeseg_runtime.files import write_json

SETTINGS = ("model", "init", "qat", "teacher", "distill", "epochs", "lr", "seed")


@Parameter(name="*")
@dataclass(frozen=True)
class CompressionConfig:
    """Where figures come from and go to."""

    bench: Path
    """bench.json of one `edgeseg bench` over the exports of all runs."""
    out: Path
    """JSON file to write."""
    remark: str = ""
    """What a reader must know beside the figures."""


def compression(runs: tuple[Path, ...], /, *, config: CompressionConfig) -> None:
    """Collect accuracy, parity, latency and size of RUNS, the original first."""
    bench = _read(config.bench)
    rows = [_run(run, bench["rows"]) for run in runs]
    for row in rows:
        row["points_below_the_original"] = round(100 * (rows[0]["mean_iou"] - row["mean_iou"]), 3)
    write_json(
        config.out,
        {
            "remark": config.remark,
            "bench": {key: bench[key] for key in ("made", "machine", "load_average", "settings")},
            "runs": rows,
        },
    )
    print(_markdown(rows))


def _run(run: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    net, checkpoint = load_checkpoint(run / BEST)
    manifest, parity = (_read(run / "export" / name) for name in ("manifest.json", "parity.json"))
    return {
        "run": run.name,
        "kind": _kind(checkpoint),
        "settings": {name: checkpoint.config[name] for name in SETTINGS if name in checkpoint.config},
        "parameters": count_parameters(net),
        "macs": count_macs(net, checkpoint.contract.size),
        "mean_iou": checkpoint.metrics["mean_iou"],
        "commands": [manifest["facts"]["command"]],
        "artifacts": [_artifact(item, parity[item["name"]], run / "export", rows) for item in manifest["artifacts"]],
    }


def _kind(checkpoint: Checkpoint) -> str:
    """Say what was done to a network, from what its checkpoint holds."""
    done = ["pruned"] if checkpoint.channels else []
    done += ["QAT"] if checkpoint.quantized else []
    if "teacher" in checkpoint.config and not done:
        done = ["distilled"]
    return " + ".join(done) or "original"


def _artifact(item: dict[str, Any], parity: dict[str, Any], folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    truth = parity["against_truth"]["mean_iou"]
    files = {(folder / file).resolve() for file in item["files"]}
    measured = [row for row in rows if row["file"] and Path(row["file"]).resolve() in files]
    return {
        "name": item["name"],
        "verdict": parity["verdict"]["level"],
        "bytes": sum(file["bytes"] for file in item["files"].values()),
        "agreement": parity["agreement"]["mean"],
        "mean_iou": truth["artifact"],
        "drop_points": truth["drop_points"],
        "drop_interval_95": truth["drop_interval_95"],
        "latency": [{key: row[key] for key in ("engine", "threads", "p50_ms", "p95_ms", "fps")} for row in measured],
    }


def _markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| run | M parameters | GMACs | file | mIoU | lost to int8 [95 %] | agreement | MB | ms, 1 thread |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for item in row["artifacts"]:
            low, high = item["drop_interval_95"]
            times = [f"{case['p50_ms']:.2f}" for case in item["latency"] if case["threads"] == 1]
            lines.append(
                f"| {row['run']} | {row['parameters'] / 1e6:.2f} | {row['macs'] / 1e9:.2f} | {item['name']} "
                f"| {100 * item['mean_iou']:.2f} | {item['drop_points']:.2f} [{low:.2f}, {high:.2f}] "
                f"| {100 * item['agreement']:.2f} % | {item['bytes'] / 1e6:.2f} | {' / '.join(times)} |"
            )
    return "\n".join(lines)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path} is missing; run the commands in this file's docstring first")
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    app = App(default_command=compression, help_format="plaintext", default_parameter=Parameter(negative=()))
    try:
        app(result_action="return_value")
    except EdgesegError as error:
        sys.exit(f"compression: {error}")
