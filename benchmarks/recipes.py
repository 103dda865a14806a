"""What each piece of a recipe gains: the same net, pictures and budget, one piece changed at a time, several seeds.

    python benchmarks/recipes.py --data ../shared/data/camvid --epochs 30 --out runs/recipes
    python benchmarks/recipes.py --data ../shared/data/camvid --only ohem --only lovasz --out runs/recipes

Every run is scored once, after its last epoch, so nothing is chosen by the validation pictures. A gain is the mean over
seeds of the difference to `plain` with the same seed; beside it stands how far the seeds are apart. Runs that were
killed go on and finished ones are not repeated, so recipes can be added to the same folder. All recipes with three
seeds are over sixty runs: on few cores name some.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note, progress, table
from edgeseg.cli.task import open_task
from edgeseg.config import TrainConfig, unflatten
from edgeseg.training.loop import train
from edgeseg.training.state import CONFIG
from edgeseg.training.task import Task
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.machine import machine_facts

PLAIN = "plain"
RECIPES: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    "cross-entropy": {"loss": "ce"},
    "weighted-ce": {"loss": "ce", "class_weights": "log"},
    "class-weights": {"class_weights": "log"},
    "smoothing": {"label_smoothing": 0.1},
    "focal": {"loss": "focal"},
    "ohem": {"loss": "ohem"},
    "lovasz": {"loss": "ce+0.5*lovasz"},
    "boundary": {"loss": "ce+0.5*boundary"},
    "rare": {"sample": "rare"},
    "class-crop": {"class_crop": 0.5},
    "no-variation": {"augment": "none"},
    "light": {"augment": "light"},
    "strong": {"augment": "strong"},
    "mosaic": {"mosaic": 0.5},
    "classmix": {"classmix": 0.5},
    "copy-paste": {"copy_paste": 0.5},
    "no-ema": {"ema": 0.0},
    "cosine": {"schedule": "cosine"},
    "onecycle": {"schedule": "onecycle"},
    "sgd": {"optimizer": "sgd", "lr": 0.05},
}
"""Settings of `edgeseg train` that differ from its own defaults."""
RESULT = "recipes.json"


@Parameter(name="*")
@dataclass(frozen=True)
class RecipesConfig:
    """What is trained on what, for how long."""

    data: str
    """Labelled pictures, as `edgeseg train` takes them."""
    out: Path
    """Folder for the runs and recipes.json."""
    model: str = "fast_scnn"
    size: tuple[int, int] = (360, 480)
    epochs: int = 30
    batch: int = 8
    workers: int = 2
    seeds: int = 3
    """Runs of each recipe."""
    only: Annotated[tuple[str, ...], Parameter(show_default=False)] = ()
    """Recipe beside `plain`; repeat it for several. All if not given."""

    def __post_init__(self) -> None:
        if unknown := set(self.only) - set(RECIPES):
            raise ConfigError(f"--only {unknown.pop()}: the recipes are {', '.join(RECIPES)}")
        if self.seeds < 2:
            raise ConfigError(f"--seeds must be at least 2, or nobody knows what chance does, got {self.seeds}")


def recipes(*, config: RecipesConfig) -> None:
    """Train and score; the table is written after every run."""
    chosen = [name for name in RECIPES if not config.only or name in (PLAIN, *config.only)]
    task = open_task(config.model, run_config(config, PLAIN, 0).data, progress, note)
    scores: dict[str, list[float]] = {name: [] for name in chosen}
    for seed in range(config.seeds):
        for name in chosen:
            scores[name].append(score(run_config(config, name, seed), task))
            note(f"{name}, seed {seed}: {task.headline.said} {scores[name][-1]:.4f}")
            write_json(config.out / RESULT, document(config, task, scores))
    rows = [gains(name, scores) for name in chosen]
    cells = [[row["recipe"], *(_number(row[key]) for key in ("mean", "apart", "gain", "gain_apart"))] for row in rows]
    headers = ["recipe", f"{task.headline.said} %", "seeds apart", "gain, points", "seeds apart"]
    table(f"{config.model}, {config.epochs} epochs, {config.seeds} seeds", headers, cells)


def run_config(config: RecipesConfig, name: str, seed: int) -> TrainConfig:
    """Return the settings of one run; it is scored after its last epoch alone."""
    common = {
        "data": config.data,
        "out": config.out / f"{name}-{seed}",
        "model": config.model,
        "size": list(config.size),
        "epochs": config.epochs,
        "score_every": config.epochs,
        "batch": config.batch,
        "workers": config.workers,
        "seed": seed,
    }
    return unflatten(TrainConfig, common | dict(RECIPES[name]))


def score(config: TrainConfig, task: Task) -> float:
    """Train, or go on, or take what a finished run reached, 0..1."""
    begun = (config.out / CONFIG).is_file()
    return train(config, task, resume=begun, progress=progress, report=lambda _: None).best_score


def gains(name: str, scores: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return a recipe's mean and gain in points with the standard deviations over seeds; None where one seed is done.

    Gains are of seeds that `plain` and the recipe have both done.
    """
    own = [100 * value for value in scores[name]]
    differences = [value - 100 * plain for value, plain in zip(own, scores[PLAIN], strict=False)]
    return {
        "recipe": name,
        "changes": dict(RECIPES[name]),
        "scores": list(scores[name]),
        "mean": mean(own) if own else None,
        "apart": stdev(own) if len(own) > 1 else None,
        "gain": mean(differences) if differences else None,
        "gain_apart": stdev(differences) if len(differences) > 1 else None,
    }


def document(config: RecipesConfig, task: Task, scores: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return everything as plain JSON values."""
    return {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "machine": machine_facts(),
        "model": config.model,
        "size": list(config.size),
        "epochs": config.epochs,
        "batch": config.batch,
        "score": task.headline.key,
        "recipes": [gains(name, scores) for name in scores],
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    run_command(recipes)
