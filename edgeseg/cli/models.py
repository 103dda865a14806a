"""`edgeseg models`."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress, table
from edgeseg_runtime.contract import Task
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    from edgeseg.models.spec import Spec


@Parameter(name="*")
@dataclass(frozen=True)
class ModelsConfig:
    """What the figures are for."""

    size: tuple[int, int] = (360, 480)
    """Height and width of the input."""
    classes: int = 11
    """How many classes are told apart."""
    results: Path | None = None
    """Folder of figures that were measured, such as benchmarks/results of a checkout; adds mIoU and milliseconds."""

    def __post_init__(self) -> None:
        if not 1 <= self.classes <= 255:
            raise ConfigError(f"--classes must be between 1 and 255, got {self.classes}")


def models(*, config: ModelsConfig | None = None, json: bool = False) -> None:
    """Show the architectures that `train --model` takes, and what each costs.

    Parameters and multiply-accumulates (GMACs) are counted here, for the size
    and the number of classes that you give: of Mask R-CNN with as many
    proposals and objects as it ever looks at.

    For example:

      edgeseg models
      edgeseg models --size 512 1024 --classes 19
      edgeseg models --results benchmarks/results --json

    Parameters
    ----------
    json
        Print everything as JSON, with published figures and their sources.
    """
    for package in ("torch", "torchvision", "safetensors"):
        require(package, "train")
    config = config or ModelsConfig()
    measured = {} if config.results is None else read_results(config.results)
    rows = [describe(task, name, config, measured.get(name)) for task, name in progress(names(), "counting")]
    rows.sort(key=lambda row: int(row["macs"]))
    if json:
        answer_json(rows)
        return
    headers = ["model", "task", "M parameters", "GMACs", "ImageNet", "licence", "paper"]
    if config.results is not None:
        headers[4:4] = ["mIoU", "ms"]
    height, width = config.size
    table(f"{height}×{width}, {config.classes} classes", headers, [_row(row, config) for row in rows])
    if config.results is not None:
        note("mIoU of the best float run; ms a frame of its fastest file that passed the parity gate, on one thread")


def names() -> list[tuple[Task, str]]:
    """Return the registered architectures, and what each is for."""
    from edgeseg.models.instances.registry import INSTANCE_MODELS
    from edgeseg.models.registry import MODELS

    return [*(("semantic", name) for name in MODELS), *(("instance", name) for name in INSTANCE_MODELS)]


def describe(task: Task, name: str, config: ModelsConfig, measured: dict[str, Any] | None) -> dict[str, Any]:
    """Return what is known of an architecture as plain JSON values."""
    from edgeseg.models.cost import instance_cost, model_cost
    from edgeseg.models.instances.registry import instance_spec
    from edgeseg.models.registry import model_spec

    cost = (model_cost if task == "semantic" else instance_cost)(name, config.classes, config.size)
    spec: Spec[Any] = model_spec(name) if task == "semantic" else instance_spec(name)
    return {
        "model": name,
        "task": task,
        "size": list(config.size),
        "classes": config.classes,
        "parameters": cost.parameters,
        "macs": cost.macs,
        "minimum": spec.minimum,
        "paper": spec.paper,
        "licence": spec.licence,
        "weights": spec.weights,
        "published": None if spec.published is None else asdict(spec.published),
        "measured": measured,
    }


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return, by architecture, the best float run among the files that `benchmarks/compression.py` wrote to `folder`.

    Raises ConfigError when there is no such file.
    """
    if not folder.is_dir():
        raise ConfigError(f"--results: there is no folder {folder}")
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            document = json_module.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"--results: {path} is damaged: {error}") from error
        runs = document.get("runs", []) if isinstance(document, dict) else []
        for run in (run for run in runs if run.get("kind") == "original" and "model" in run.get("settings", {})):
            name = run["settings"]["model"]
            if name not in found or run["mean_iou"] > found[name]["mean_iou"]:
                scored_on = document["bench"]["settings"]["scored_on"]
                found[name] = {"file": str(path), "scored_on": scored_on, "mean_iou": run["mean_iou"], **_fastest(run)}
    if not found:
        raise ConfigError(f"--results: no file in {folder} holds runs as benchmarks/compression.py writes them")
    return found


def _fastest(run: dict[str, Any]) -> dict[str, Any]:
    """Return the file of a run that takes the least time on one thread, of those that passed the gate."""
    cases = [
        {"artifact": item["name"], "engine": case["engine"], "threads": 1, "p50_ms": case["p50_ms"]}
        for item in run["artifacts"]
        for case in item["latency"]
        if item["verdict"] != "fail" and case["threads"] == 1
    ]
    return min(cases, key=lambda case: float(case["p50_ms"]), default={})


def _row(row: dict[str, Any], config: ModelsConfig) -> list[str]:
    cells = [row["model"], row["task"], f"{row['parameters'] / 1e6:.2f}", f"{row['macs'] / 1e9:.2f}"]
    if config.results is not None:
        measured = row["measured"] or {}
        cells += [f"{100 * measured['mean_iou']:.2f}" if measured else ""]
        cells += [f"{measured['p50_ms']:.2f}" if "p50_ms" in measured else ""]
    return [*cells, "yes" if row["weights"] else "no", row["licence"], row["paper"]]
