"""All that changes during a run, and how it is put away after every epoch so that a killed run can go on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from edgeseg.config import DataConfig, TrainConfig, flatten, load_config, save_config
from edgeseg_runtime.errors import CheckpointError, ConfigError
from edgeseg_runtime.files import atomic_path

CONFIG, STATE = "config.yaml", "resume.pt"


@dataclass
class State:
    """The moving parts of a run."""

    net: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR
    heads: nn.Module = field(default_factory=nn.ModuleList)
    """Auxiliary heads, which learn beside the network and are not part of it."""
    epoch: int = 0
    """Epochs done."""
    best_epoch: int = 0
    best: float = -math.inf
    """Highest val score so far."""

    def _parts(self) -> dict[str, Any]:
        parts = {"net": self.net, "average": self.average, "optimizer": self.optimizer, "schedule": self.schedule}
        return parts | ({"heads": self.heads} if any(self.heads.children()) else {})

    def save(self, folder: Path) -> None:
        """Write the state to `folder` atomically."""
        values: dict[str, Any] = {name: part.state_dict() for name, part in self._parts().items()}
        values |= {"epoch": self.epoch, "best_epoch": self.best_epoch, "best": self.best}
        with atomic_path(folder / STATE) as temporary:
            torch.save(values, temporary)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote. Raises CheckpointError when it is missing, damaged or of another network."""
        path = folder / STATE
        if not path.is_file():
            raise CheckpointError(f"{folder} cannot be resumed: it holds no {STATE}")
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
            for name, part in self._parts().items():
                part.load_state_dict(values[name])
        except Exception as error:  # torch.load raises pickle, zip, runtime and key errors alike for a damaged file
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise CheckpointError(f"{path} cannot be resumed from: {reason}") from error
        self.epoch, self.best_epoch, self.best = values["epoch"], values["best_epoch"], values["best"]


def check_folder(config: TrainConfig, resume: bool) -> None:
    """See that the run can go into its folder, which is left as it is.

    Raises ConfigError when the folder already holds a run and `resume` is off, or when `resume` is on and there is no
    run or the settings differ from its own: half a run with each would be neither.
    """
    path = config.out / CONFIG
    if not resume:
        if path.exists():
            raise ConfigError(f"{config.out} already holds a run; go on with --resume, or choose another --out")
        return
    if not path.is_file():
        raise ConfigError(f"--resume: {config.out} holds no run")
    standard = flatten(TrainConfig(DataConfig(""), config.out))
    before, now = load_config(path), flatten(config)
    before |= {name: standard[name] for name in standard if name not in before}  # it began before there was the setting
    compared = [name for name in {**before, **now} if name not in ("out", "workers")]
    different = [name for name in compared if before.get(name) != now.get(name)]
    if different:
        changes = ", ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in different)
        raise ConfigError(f"--resume: {changes}; `--config {path}` repeats the run's own settings")


def begin(config: TrainConfig, state: State) -> None:
    """Write the state before the first epoch, so that a run killed in it can be resumed, then the settings."""
    state.save(config.out)
    save_config(config, config.out / CONFIG)  # last: a folder that holds it holds a run
