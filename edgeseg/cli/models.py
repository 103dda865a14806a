"""`edgeseg models`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress, table
from edgeseg.cli.model_results import own_results, read_results, remark
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
    """File or folder of measured mIoU and milliseconds; the checkout's own benchmarks/results if not given."""

    def __post_init__(self) -> None:
        if not 1 <= self.classes <= 255:
            raise ConfigError(f"--classes must be between 1 and 255, got {self.classes}")


def models(*, config: ModelsConfig | None = None, json: bool = False) -> None:
    """Show the architectures that `train --model` takes, and what each costs.

    Parameters and multiply-accumulates (GMACs) are counted here, for the size
    and the number of classes that you give: of Mask R-CNN with as many
    proposals and objects as it ever looks at. mIoU and ms a frame were measured
    before, on the machine and at the size that the file of figures tells of.

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
    results = config.results or own_results()
    measured = {} if results is None else read_results(results)
    rows = [describe(task, name, config, measured.get(name)) for task, name in progress(names(), "counting")]
    rows.sort(key=lambda row: int(row["macs"]))
    if json:
        answer_json(rows)
        return
    headers = ["model", "task", "M parameters", "GMACs", "mIoU", "ms", "ImageNet", "licence", "paper"]
    height, width = config.size
    table(f"{height}×{width}, {config.classes} classes", headers, [_row(row) for row in rows])
    if results is None:
        note("mIoU and ms: edgeseg's source has measured figures in benchmarks/results, this installation has none")
    else:
        note(f"{remark(measured)}: {results}")


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


def _row(row: dict[str, Any]) -> list[str]:
    measured = row["measured"] or {}
    return [
        row["model"],
        row["task"],
        f"{row['parameters'] / 1e6:.2f}",
        f"{row['macs'] / 1e9:.2f}",
        f"{100 * measured['mean_iou']:.2f}" if measured else "",
        f"{measured['p50_ms']:.2f}" if "p50_ms" in measured else "",
        "yes" if row["weights"] else "no",
        row["licence"],
        row["paper"],
    ]
