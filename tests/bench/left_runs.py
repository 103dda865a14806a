"""Runs, exports and benches as the verbs leave them, with figures that a test chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from edgeseg.models import build
from edgeseg.training.checkpoint import BEST, Checkpoint, save_checkpoint
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.files import sha256, write_json

LABELS = (Label("a", (0, 0, 0)), Label("b", (9, 9, 9)))
CONTRACT = Contract(LABELS, 64, 96)
ENGINES = {"onnx": "onnxruntime", "openvino": "openvino"}
BROKEN = {"limit": "edges", "what": "near edges", "level": "fail", "measured": 0.96, "allowed": 0.97, "where": ""}


def net() -> nn.Module:
    return build("fast_scnn", 2, CONTRACT.size)


def make_run(folder: Path, mean_iou: float, *, missing: tuple[str, ...] = (), **config: Any) -> Path:
    """Write what `train` and `export` leave of a run; the files named `missing` did not pass their gate."""
    settings = {"model": "fast_scnn", "data": "/somewhere/camvid", "val_split": "val", "epochs": 60} | config
    checkpoint = Checkpoint("fast_scnn", CONTRACT, 40, {"mean_iou": mean_iou}, settings)
    save_checkpoint(folder / BEST, net(), checkpoint)
    (folder / "metrics.csv").write_text("epoch,loss\n20,1.0\n50,0.5\n")
    names = {f"{kind}-{precision}": precision for precision in ("float32", "int8") for kind in ENGINES}
    parity, artifacts = {}, []
    for name, precision in names.items():
        truth = {
            "artifact": mean_iou - 0.01 * (precision == "int8"),
            "original_interval_95": [mean_iou - 0.02, mean_iou + 0.03],
            "artifact_interval_95": [mean_iou - 0.04, mean_iou + 0.01],
            "drop_points": 1.0,
            "drop_interval_95": [0.5, 1.5],
        }
        parity[name] = {
            "verdict": {"level": "fail", "failures": [BROKEN]} if name in missing else {"level": "pass"},
            "agreement": {"mean": 1.0 if precision == "float32" else 0.987},
            "edges": {"agreement": 0.96},
            "against_truth": {"pictures": 101, "mean_iou": truth},
        }
        size = 4_000_000 if precision == "float32" else 1_500_000
        artifacts.append({"name": name, "precision": precision, "files": {f"{name}/model": {"bytes": size}}})
    facts = {"checkpoint sha256": sha256(folder / BEST), "command": f"edgeseg export {folder.name} --int8"}
    write_json(
        folder / "export/manifest.json", {"facts": facts, "contract": CONTRACT.to_json(), "artifacts": artifacts}
    )
    write_json(folder / "export/parity.json", parity)
    return folder


def make_bench(path: Path, made: str, runs: dict[Path, dict[str, float]]) -> Path:
    """Write a bench in which files took so many milliseconds, one of them beside the network; half as many on two."""
    rows: list[dict[str, Any]] = [
        {
            "engine": ENGINES[name.split("-")[0]], "threads": threads, "frames": 24, "p50_ms": ms / threads,
            "p95_ms": 2 * ms, "p99_ms": 3 * ms, "fps": 1000 / ms, "file": str(run / "export" / name / "model"),
            "mean_iou": 0.5, "stages_ms": {"preprocess": 0.5, "infer": ms / threads - 1, "decode": 0.5},
        }
        for run, times in runs.items()
        for name, ms in times.items()
        for threads in (1, 2)
    ]  # fmt: skip
    rows.append({"file": None})  # the original in PyTorch
    write_json(path, {"made": made, "machine": {}, "load_average": {}, "settings": {"seconds": 3}, "rows": rows})
    return path


def times(*ms: float) -> dict[str, float]:
    return dict(zip(("onnx-float32", "openvino-float32", "onnx-int8", "openvino-int8"), ms, strict=True))
