"""How many pictures a second `edgeseg train` learns from, against torchvision's own way of training.

    python benchmarks/training_speed.py --data ../shared/data/camvid --model lraspp_mobilenet_v3_large

The same network, pictures, size, batch and number of reading processes, in one run and in turns of one pass over the
pictures. Theirs is what torchvision's references/segmentation/train.py does with `--use-v2`: pictures go through PIL
(random size, mirror image, crop), float32, SGD with momentum; without auxiliary loss, and reading costs it what reading
costs edgeseg. Ours is the loop of `edgeseg train` as it comes: channels last, bf16 where the processor computes in it,
the pictures kept in memory after the first pass, AdamW, an average of the weights. Neither is scored. The first pass
of each is not counted: it reads ours into memory, and the processor's code for every layer is made in it. Freed memory
goes back to the system in both, though `edgeseg train` keeps it: it is the process's, and both are in one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg.cli.task import open_task
from edgeseg.config import DataConfig, ModelConfig, OptimConfig, TrainConfig
from edgeseg.data.open import open_data
from edgeseg.training.loop import assemble, make_fabric, train_epoch
from edgeseg.training.start import resolve
from edgeseg_bench.report import circumstances, load_average
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.progress import silent
from torchvision_semantic import TorchvisionTraining

RESULT = Path(__file__).parent / "results" / "training_speed.json"
WANTED_TIMES = 1.5
Pass = Callable[[], int]
"""Goes over the pictures once, learning from them; returns how many there were."""


@Parameter(name="*")
@dataclass(frozen=True)
class SpeedConfig:
    """What is trained on what, how often."""

    data: str
    """Labelled pictures, as `edgeseg train` takes them."""
    model: Annotated[tuple[str, ...], Parameter(show_default=False)] = ("lraspp_mobilenet_v3_large",)
    """Network that torchvision has too; repeat it for several. lraspp_mobilenet_v3_large if not given."""
    split: str = "val"
    """Which pictures: some hundred are enough for a pass."""
    size: tuple[int, int] = (360, 480)
    batch: int = 8
    workers: int = 1
    """Processes that read pictures."""
    rounds: int = 3
    """Turns of each that count; medians are compared."""
    out: Path = RESULT
    """JSON file to write."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ConfigError(f"--rounds must be at least 1, got {self.rounds}")


def measure(*, config: SpeedConfig) -> int:
    """Train both in turns; the exit code is 1 where ours is less than 1.5 times as fast."""
    before = load_average()
    rows = [one_model(name, config) for name in config.model]
    settings = {"data": config.data, "split": config.split, "size": list(config.size), "batch": config.batch}
    settings |= {"workers": config.workers, "rounds": config.rounds, "threads": torch.get_num_threads()}
    write_json(config.out, {**circumstances(before), "settings": settings, "models": rows})
    note(f"wrote {config.out}")
    return 0 if all(row["times_torchvision"] >= WANTED_TIMES for row in rows) else 1


def one_model(name: str, config: SpeedConfig) -> dict[str, Any]:
    """Measure one network in both ways; return plain JSON values."""
    ways = {"edgeseg": edgeseg_training(name, config), "torchvision": torchvision_training(name, config)}
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(1 + config.rounds):
        for way, learn in ways.items():
            started = time.perf_counter()
            pictures = learn()
            speed = pictures / (time.perf_counter() - started)
            note(f"{name}, {way}, pass {number}: {speed:.2f} pictures/s{'' if number else ', not counted'}")
            if number:
                speeds[way].append(speed)
    medians = {way: median(found) for way, found in speeds.items()}
    return {
        "model": name,
        "pictures_per_s": {way: round(value, 3) for way, value in medians.items()},
        "turns": {way: [round(value, 3) for value in found] for way, found in speeds.items()},
        "times_torchvision": round(medians["edgeseg"] / medians["torchvision"], 3),
    }


def edgeseg_training(name: str, config: SpeedConfig) -> Pass:
    """Return a pass of `edgeseg train`. Nothing is written."""
    split, workers = config.split, config.workers
    run = resolve(
        TrainConfig(
            data=DataConfig(config.data, split=split, val_split=split, size=config.size, workers=workers),
            out=Path(os.devnull),
            model=ModelConfig(name),
            optim=OptimConfig(epochs=1 + config.rounds, batch=config.batch),
        )
    )
    task = open_task(name, run.data, silent)
    fabric = make_fabric(run)
    loader, module, state, step = assemble(run, task.make_contract(run), task, fabric)
    wrapped, optimizer = fabric.setup(module, state.optimizer)

    def learn() -> int:
        state.epoch += 1
        train_epoch(run, state, fabric, wrapped, optimizer, loader, step, silent)
        return len(loader) * config.batch

    return learn


def torchvision_training(name: str, config: SpeedConfig) -> Pass:
    """Return a pass of torchvision's."""
    data = open_data(config.data, config.split)
    return TorchvisionTraining(name, data, config.size, config.batch, config.workers, epochs=1 + config.rounds).learn


if __name__ == "__main__":
    run_command(measure)
