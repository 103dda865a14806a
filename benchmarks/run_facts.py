"""What the verbs left of a run, as plain JSON values: its network, its files, how good and how fast they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgeseg.models.cost import count_macs, count_parameters
from edgeseg.training.checkpoint import BEST, Checkpoint, load_checkpoint
from edgeseg_bench.subjects import EXPORT, MANIFEST
from edgeseg_runtime.contract import Contract, Task
from edgeseg_runtime.errors import UserError
from edgeseg_runtime.files import sha256
from training_facts import training_facts

PARITY, BENCH = "parity.json", "bench.json"
SETTINGS = (
    "model", "init", "qat", "teacher", "distill", "temperature", "distill_weight", "loss", "class_weights", "epochs",
    "lr", "trunk_lr", "seed",
)  # fmt: skip
NOT_OF_TASK: Mapping[Task, str] = {
    "semantic": "which tells objects apart; this is for models of classes",
    "instance": "a model of classes; this is for models that tell objects apart",
}
MEASURED = ("engine", "threads", "frames", "p50_ms", "p95_ms", "p99_ms", "fps")


def read_left(path: Path) -> Any:
    """Read a JSON file that a verb wrote. Raises UserError when it is not there."""
    if not path.is_file():
        raise UserError(f"{path} is missing; run the commands in this script's docstring first")
    return json.loads(path.read_text(encoding="utf-8"))


def bench_facts(bench: dict[str, Any]) -> dict[str, Any]:
    """Return when, where and how a bench was made, without its rows."""
    return {key: bench[key] for key in ("made", "machine", "load_average", "settings")}


@dataclass(frozen=True)
class Exported:
    """A run with its export, which is of its best checkpoint and at the size it was trained at."""

    net: nn.Module
    checkpoint: Checkpoint
    folder: Path
    """Of the exported files."""
    manifest: dict[str, Any]
    parity: dict[str, Any]

    def measured(self, bench: dict[str, Any]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Return each file's entry in the manifest with the rows of `bench` about it.

        Raises UserError when the bench knows none of the files.
        """
        found = []
        for item in self.manifest["artifacts"]:
            files = {(self.folder / file).resolve() for file in item["files"]}
            found.append((item, [row for row in bench["rows"] if row["file"] and Path(row["file"]).resolve() in files]))
        if not any(rows for _, rows in found):
            raise UserError(
                f"the bench knows no file of {self.folder}; bench all exports at once, from this same folder"
            )
        return found


def read_exported(run: Path, task: Task) -> Exported:
    """Read a run and its export. Raises UserError for one of another task, or an export of something else."""
    net, checkpoint = load_checkpoint(run / BEST)
    if checkpoint.contract.task != task:
        raise UserError(f"{run} is {checkpoint.model}, {NOT_OF_TASK[task]}")
    folder = run / EXPORT
    manifest, parity = (read_left(folder / name) for name in (MANIFEST, PARITY))
    if manifest["facts"]["checkpoint sha256"] != sha256(run / BEST):
        raise UserError(f"{folder} was made of another checkpoint than {run / BEST} is now; export the run again")
    if Contract.from_json(manifest["contract"]).size != checkpoint.contract.size:
        raise UserError(f"{folder} is of another size than {run} was trained at; export it without --size")
    return Exported(net, checkpoint, folder, manifest, parity)


def run_facts(run: Path, bench: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a run of a model of classes, of its exported files, and what `bench` measured of these.

    mIoU is the checkpoint's, in PyTorch; its interval is the parity gate's, None where it was not taken. `network_ms`
    is the network alone, `p50_ms` from frame to mask. Raises UserError when the export is of another checkpoint, or
    the bench knows none of its files.
    """
    exported = read_exported(run, "semantic")
    checkpoint, manifest, parity = exported.checkpoint, exported.manifest, exported.parity
    artifacts = [
        _artifact(item, parity[item["name"]], exported.folder, measured) for item, measured in exported.measured(bench)
    ]
    truth = parity[artifacts[0]["name"]]["against_truth"]
    return {
        "run": run.resolve().name,
        "kind": kind(checkpoint),
        "settings": {name: checkpoint.config[name] for name in SETTINGS if name in checkpoint.config},
        "training": training_facts(run, checkpoint),
        "parameters": count_parameters(exported.net),
        "macs": count_macs(exported.net, checkpoint.contract.size),
        "mean_iou": checkpoint.metrics["mean_iou"],
        "interval_95": truth["mean_iou"].get("original_interval_95"),
        "pictures": truth["pictures"],
        "commands": [manifest["facts"]["command"]],
        "artifacts": artifacts,
        "rejected": rejected(parity),
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


def file_facts(
    item: dict[str, Any], parity: dict[str, Any], measured: list[dict[str, Any]], score: str
) -> dict[str, Any]:
    """Return what is told of an exported file of either task; `score` names what a bench scored it by."""
    return {
        "name": item["name"],
        "precision": item["precision"],
        "verdict": parity["verdict"]["level"],
        "bytes": sum(file["bytes"] for file in item["files"].values()),
        "latency": [
            {key: row[key] for key in (*MEASURED, score)} | {"network_ms": (row["stages_ms"] or {}).get("infer")}
            for row in measured
        ],
    }


def rejected(parity: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the files that the parity gate refused, with the bounds that they broke."""
    return {
        name: [{key: broken[key] for key in ("what", "measured", "allowed", "where")} for broken in verdict["failures"]]
        for name, verdict in ((name, told["verdict"]) for name, told in parity.items())
        if verdict["level"] == "fail"
    }


def _artifact(
    item: dict[str, Any], parity: dict[str, Any], folder: Path, measured: list[dict[str, Any]]
) -> dict[str, Any]:
    if parity["against_truth"] is None:
        raise UserError(f"{folder}: the pictures that its files were compared on have no masks; export it with others")
    truth = parity["against_truth"]["mean_iou"]
    return file_facts(item, parity, measured, "mean_iou") | {
        "agreement": parity["agreement"]["mean"],
        "edge_agreement": parity["edges"]["agreement"],
        "mean_iou": truth["artifact"],
        "interval_95": truth.get("artifact_interval_95"),
        "drop_points": truth["drop_points"],
        "drop_interval_95": truth["drop_interval_95"],
    }
