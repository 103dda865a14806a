"""Put what models that tell objects apart reached into one file that can be committed, and print it as a table.

    edgeseg train --data pennfudan --model yolact_mobilenet_v2 … --out runs/yolact          # … every run
    edgeseg export runs/yolact --int8                                                      # … every run
    edgeseg bench  runs/yolact/export runs/maskrcnn/export --data pennfudan --original none --out runs/compared
    python benchmarks/torchvision_instances.py --data pennfudan … --out reference.json
    python benchmarks/object_table.py runs/yolact runs/maskrcnn --bench runs/compared/bench.json --minutes 20 14 \\
        --reference reference.json --out objects.json

Reads what the verbs and the reference's script left; measures nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from command_line import run_command
from edgeseg.models.cost import count_parameters
from edgeseg_runtime.errors import UserError
from edgeseg_runtime.files import write_json
from run_facts import SETTINGS, bench_facts, bracketed, file_facts, read_exported, read_left, rejected

SCORES = ("mask_ap", "mask_ap50", "mask_ap75", "box_ap", "mean_f1")


@Parameter(name="*")
@dataclass(frozen=True)
class ObjectTableConfig:
    """Where figures come from and go to."""

    bench: Path
    """bench.json of one `edgeseg bench` over the exports of all runs, with the pictures it scored on."""
    out: Path
    """JSON file to write."""
    minutes: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = ()
    """How long each run trained, as `edgeseg train` says at its end; in the runs' order."""
    reference: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = ()
    """What torchvision_instances.py wrote."""
    remark: str = ""
    """What a reader must know beside the figures."""


def object_table(runs: tuple[Path, ...], /, *, config: ObjectTableConfig) -> None:
    """Collect accuracy, parity, latency and size of RUNS."""
    if config.minutes and len(config.minutes) != len(runs):
        raise UserError(f"--minutes has {len(config.minutes)} values for {len(runs)} runs; give one a run, or none")
    bench = read_left(config.bench)
    rows = [run_row(run, bench) for run in runs]
    for row, minutes in zip(rows, config.minutes, strict=False):
        row["minutes"] = minutes
    references = [reference_row(read_left(path)) for path in config.reference]
    result = {"remark": config.remark, "bench": bench_facts(bench), "runs": rows, "references": references}
    write_json(config.out, result)
    print(markdown(rows, references))


def run_row(run: Path, bench: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a run, of its exported files, and what `bench` measured of these.

    Scores are the checkpoint's, in PyTorch, 0..1. Raises UserError for a run of another task, when the export is of
    another checkpoint, or when the bench knows none of its files.
    """
    exported = read_exported(run, "instance")
    checkpoint, parity = exported.checkpoint, exported.parity
    artifacts = [_artifact(item, parity[item["name"]], measured) for item, measured in exported.measured(bench)]
    return {
        "run": run.resolve().name,
        "size": list(checkpoint.contract.size),
        "data": checkpoint.config["data"],
        "weights": Path(checkpoint.config.get("weights", "none")).name,
        "settings": {name: checkpoint.config[name] for name in SETTINGS if name in checkpoint.config},
        "parameters": count_parameters(exported.net),
        "epoch": checkpoint.epoch,
        **{name: checkpoint.metrics[name] for name in SCORES},
        "artifacts": artifacts,
        "rejected": rejected(parity),
    }


def reference_row(told: dict[str, Any]) -> dict[str, Any]:
    """Return what torchvision's script reached in its best epoch, and how long all of them took."""
    best = max(told["epochs"], key=lambda one: one["mask_ap"])
    return {
        "command": told["command"],
        "settings": told["settings"],
        "minutes": told["seconds"] / 60,
        "epoch": best["epoch"],
        **{name: best[name] for name in SCORES},
        "mask_ap_by_epoch": [one["mask_ap"] for one in told["epochs"]],
    }


def _artifact(item: dict[str, Any], parity: dict[str, Any], measured: list[dict[str, Any]]) -> dict[str, Any]:
    truth = parity["against_truth"]
    return file_facts(item, parity, measured, "mask_ap") | {
        "objects": {name: parity["objects"][name] for name in ("original", "missed", "extra")},
        "mask_iou": parity["mask_iou"],
        "drop_points": None if truth is None else truth["mask_ap"]["drop_points"],
        "drop_interval_95": None if truth is None else truth["mask_ap"]["drop_interval_95"],
    }


def markdown(rows: list[dict[str, Any]], references: list[dict[str, Any]]) -> str:
    """Return the table: a line a file, then one a reference."""
    lines = [
        "| run | epochs, minutes | file | mask AP | lost to it [95 %] | objects, missed, extra | mask IoU | MB | ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        minutes = f"{row['minutes']:.0f}" if "minutes" in row else "–"
        for item in row["artifacts"]:
            times = [f"{case['p50_ms']:.1f}" for case in item["latency"] if case["threads"] == 1]
            scores = {f"{case['mask_ap']:.3f}" for case in item["latency"] if case["mask_ap"] is not None}
            lost = "–" if item["drop_points"] is None else f"{item['drop_points']:.2f}"
            objects = item["objects"]
            lines.append(
                f"| {row['run']} | {row['settings']['epochs']}, {minutes} | {item['name']} "
                f"| {' / '.join(sorted(scores)) or '–'} | {lost} {bracketed(item['drop_interval_95'])} "
                f"| {objects['original']}, {objects['missed']}, {objects['extra']} | {item['mask_iou']:.4f} "
                f"| {item['bytes'] / 1e6:.2f} | {' / '.join(times) or '–'} |"
            )
    for reference in references:
        epochs = reference["settings"]["epochs"]
        lines.append(
            f"| torchvision's script | {epochs}, {reference['minutes']:.0f} | PyTorch | {reference['mask_ap']:.3f} "
            "| | | | | |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(object_table)
