"""What the verbs left of a run, as plain JSON values: its network, its files, how good and how fast they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeseg.models.cost import count_macs, count_parameters
from edgeseg.training.checkpoint import BEST, Checkpoint, load_checkpoint
from edgeseg_bench.subjects import EXPORT, MANIFEST
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import UserError
from edgeseg_runtime.files import sha256

PARITY, BENCH = "parity.json", "bench.json"
SETTINGS = ("model", "init", "qat", "teacher", "distill", "epochs", "lr", "seed")
MEASURED = ("engine", "threads", "frames", "p50_ms", "p95_ms", "p99_ms", "fps")


def read_left(path: Path) -> Any:
    """Read a JSON file that a verb wrote. Raises UserError when it is not there."""
    if not path.is_file():
        raise UserError(f"{path} is missing; run the commands in this script's docstring first")
    return json.loads(path.read_text(encoding="utf-8"))


def bench_facts(bench: dict[str, Any]) -> dict[str, Any]:
    """Return when, where and how a bench was made, without its rows."""
    return {key: bench[key] for key in ("made", "machine", "load_average", "settings")}


def run_facts(run: Path, bench: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a run of a model of classes, of its exported files, and what `bench` measured of these.

    mIoU is the checkpoint's, in PyTorch; its interval is the parity gate's, None where it was not taken. Raises
    UserError when the export is of another checkpoint, or the bench knows none of its files.
    """
    net, checkpoint = load_checkpoint(run / BEST)
    if checkpoint.contract.task != "semantic":
        raise UserError(f"{run} is {checkpoint.model}, which tells objects apart; this is for models of classes")
    folder = run / EXPORT
    manifest, parity = (read_left(folder / name) for name in (MANIFEST, PARITY))
    if manifest["facts"]["checkpoint sha256"] != sha256(run / BEST):
        raise UserError(f"{folder} was made of another checkpoint than {run / BEST} is now; export the run again")
    size = checkpoint.contract.size
    if Contract.from_json(manifest["contract"]).size != size:
        raise UserError(f"{folder} is of another size than {run} was trained at; export it without --size")
    artifacts = [_artifact(item, parity[item["name"]], folder, bench["rows"]) for item in manifest["artifacts"]]
    if not any(item["latency"] for item in artifacts):
        raise UserError(f"the bench knows no file of {folder}; bench all exports at once, from this same folder")
    truth = parity[artifacts[0]["name"]]["against_truth"]
    return {
        "run": run.resolve().name,
        "kind": kind(checkpoint),
        "settings": {name: checkpoint.config[name] for name in SETTINGS if name in checkpoint.config},
        "parameters": count_parameters(net),
        "macs": count_macs(net, size),
        "mean_iou": checkpoint.metrics["mean_iou"],
        "interval_95": truth["mean_iou"].get("original_interval_95"),
        "pictures": truth["pictures"],
        "commands": [manifest["facts"]["command"]],
        "artifacts": artifacts,
    }


def kind(checkpoint: Checkpoint) -> str:
    """Say what was done to a network, from what its checkpoint holds."""
    done = ["pruned"] if checkpoint.channels else []
    done += ["QAT"] if checkpoint.quantized else []
    if "teacher" in checkpoint.config and not done:
        done = ["distilled"]
    return " + ".join(done) or "original"


def bracketed(bounds: Sequence[float] | None, scale: float = 1) -> str:
    """Return an interval as a table shows it, a dash where there is none."""
    return "–" if bounds is None else f"[{scale * bounds[0]:.2f}, {scale * bounds[1]:.2f}]"


def _artifact(item: dict[str, Any], parity: dict[str, Any], folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    if parity["against_truth"] is None:
        raise UserError(f"{folder}: the pictures that its files were compared on have no masks; export it with others")
    truth = parity["against_truth"]["mean_iou"]
    files = {(folder / file).resolve() for file in item["files"]}
    measured = [row for row in rows if row["file"] and Path(row["file"]).resolve() in files]
    return {
        "name": item["name"],
        "precision": item["precision"],
        "verdict": parity["verdict"]["level"],
        "bytes": sum(file["bytes"] for file in item["files"].values()),
        "agreement": parity["agreement"]["mean"],
        "mean_iou": truth["artifact"],
        "drop_points": truth["drop_points"],
        "drop_interval_95": truth["drop_interval_95"],
        "latency": [{key: row[key] for key in MEASURED} for row in measured],
    }
