"""Train several architectures with one recipe, each for as many epochs as fit into the same minutes.

    python benchmarks/train_zoo.py fast_scnn bricknet_s unet --data ../shared/data/camvid --minutes 20 --out runs/zoo
    python benchmarks/train_zoo.py unet --weights trunk.pth --trunk-lr 0.1 --data ../shared/data/camvid --out runs/trunk

How long an epoch takes is measured before each run, in some steps that are not kept, so other work beside it takes
epochs from a network. Four scores are taken on the way, which the minutes do not provide for. Runs that were killed go
on with the epochs they were begun with, and finished ones are not repeated.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TypeVar

from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note, progress
from edgeseg.cli.task import open_task
from edgeseg.config import TrainConfig, load_config, unflatten
from edgeseg.training.loop import assemble, make_fabric, train, train_epoch
from edgeseg.training.start import resolve
from edgeseg.training.state import CONFIG
from edgeseg.training.task import Task
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.memory import all_freed_memory_kept

T = TypeVar("T")
NOT_COUNTED = 2
"""Steps until every layer's code is made and memory is there."""
COUNTED = 10
ENOUGH_SECONDS = 60.0
"""Steps of a heavy network are not counted to ten."""
SCORES = 4


@Parameter(name="*")
@dataclass(frozen=True)
class BudgetConfig:
    """What is trained on what, for how long."""

    data: str
    """Labelled pictures, as `edgeseg train` takes them."""
    out: Path
    """Folder for the runs, each in a folder of its network's name."""
    minutes: float = 20.0
    """What each network's epochs may take."""
    weights: str = "none"
    """What trunks begin with: `none`, `imagenet` or a file."""
    trunk_lr: float = 1.0
    """Rate of a trunk's weights as a share of the others'."""
    size: tuple[int, int] = (360, 480)
    batch: int = 8
    workers: int = 1
    """Processes that read pictures."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes <= 0:
            raise ConfigError(f"--minutes must be above 0, got {self.minutes:g}")


def train_zoo(*models: str, config: BudgetConfig) -> None:
    """Train each of MODELS and say what it reached."""
    if not models:
        raise ConfigError("name the networks to train; `edgeseg models` lists them")
    for name in models:
        plain = run_config(config, name, epochs=1)
        task = open_task(name, plain.data, progress, note)
        begun = (plain.out / CONFIG).is_file()
        if begun:
            epochs = int(load_config(plain.out / CONFIG)["epochs"])
            note(f"{name}: goes on, {epochs} epochs in all")
        else:
            seconds = seconds_an_epoch(plain, task)
            epochs = epochs_that_fit(config.minutes, seconds)
            note(f"{name}: {seconds:.1f} s an epoch, {epochs} epochs in {config.minutes:g} minutes")
        reached = train(run_config(config, name, epochs), task, resume=begun, progress=progress, report=note)
        print(f"{name}: {task.headline.said} {reached.best_score:.4f}, epoch {reached.best_epoch} of {epochs}")


def run_config(config: BudgetConfig, name: str, epochs: int) -> TrainConfig:
    """Return the settings of one run."""
    settings = {
        "data": config.data,
        "out": config.out / name,
        "model": name,
        "weights": config.weights,
        "trunk_lr": config.trunk_lr,
        "loss": "ce+dice",
        "class_weights": "log",
        "size": list(config.size),
        "epochs": epochs,
        "score_every": max(1, epochs // SCORES),
        "batch": config.batch,
        "workers": config.workers,
        "seed": config.seed,
    }
    return unflatten(TrainConfig, settings)


def epochs_that_fit(minutes: float, seconds: float) -> int:
    """Return how many epochs of so many seconds fit, one at least: a network that was not trained has no score."""
    return max(1, int(60 * minutes / seconds))


@all_freed_memory_kept()
def seconds_an_epoch(config: TrainConfig, task: Task) -> float:
    """Take some steps of the run and return how long an epoch of them takes.

    The pictures are read before: all epochs but the first have them in memory.
    """
    config = replace(resolve(config), out=Path(os.devnull))
    fabric = make_fabric(config)
    loader, module, state, step = assemble(config, task.make_contract(config), task, fabric)
    wrapped, optimizer = fabric.setup(module, state.optimizer)
    for _ in loader:
        pass
    state.epoch = 1
    watch = Stopwatch()
    train_epoch(config, state, fabric, wrapped, optimizer, loader, step, watch)
    return watch.seconds_a_step() * len(loader)


class Stopwatch:
    """Passes on so many batches as are needed to know how long a step takes, and notes when each was done."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def __call__(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:  # noqa: ARG002
        """Yield batches until enough steps were counted; see `Progress`."""
        for item in items:
            yield item
            self._times.append(time.perf_counter())
            counted = self._times[NOT_COUNTED:]
            if len(counted) > COUNTED or (len(counted) > 1 and counted[-1] - counted[0] > ENOUGH_SECONDS):
                return

    def seconds_a_step(self) -> float:
        """Return the median step. Raises ConfigError where there were too few."""
        times = self._times[NOT_COUNTED:]
        if len(times) < 2:
            raise ConfigError(f"an epoch must have {NOT_COUNTED + 2} batches at least to be measured; lower --batch")
        return median(later - earlier for earlier, later in pairwise(times))


if __name__ == "__main__":
    run_command(train_zoo)
