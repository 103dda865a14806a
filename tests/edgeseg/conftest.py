"""Runs so small that they train in a second or two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest

from edgeseg.config import DataConfig, MachineConfig, OptimConfig, TrainConfig
from edgeseg.data.open import open_data
from edgeseg.training.loop import TrainingResult, train
from edgeseg.training.semantic import SemanticTask
from tests.torch_threads import one_torch_thread

TINY = "procedural:64x64,n=16"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """See `one_torch_thread`."""
    with one_torch_thread():
        yield


class MakeConfig(Protocol):
    """Makes the settings of a tiny run; see `tiny`."""

    def __call__(self, out: Path, *, data: str = TINY, epochs: int = 3, workers: int = 0, seed: int = 0) -> TrainConfig:
        """Return the settings of a run in `out`."""


@pytest.fixture(scope="session")
def tiny() -> MakeConfig:
    """Return a function from a folder to the settings of a run there: Fast-SCNN, 64×64, four steps an epoch."""

    def make(out: Path, *, data: str = TINY, epochs: int = 3, workers: int = 0, seed: int = 0) -> TrainConfig:
        return TrainConfig(
            DataConfig(data, size=(64, 64), workers=workers),
            out,
            optim=OptimConfig(epochs=epochs, batch=4),
            machine=MachineConfig(device="cpu", precision="float32", seed=seed),
        )

    return make


def run_training(config: TrainConfig, *, resume: bool = False) -> TrainingResult:
    """Train with the data that the settings name, as the verb does."""
    train_data, val_data = (open_data(config.data.data, split) for split in (config.data.split, config.data.val_split))
    return train(config, SemanticTask(train_data, val_data), resume=resume, report=lambda _: None)


@dataclass(frozen=True)
class Run:
    """A finished run."""

    config: TrainConfig
    result: TrainingResult

    @property
    def out(self) -> Path:
        """Its folder."""
        return self.config.out


class Train(Protocol):
    """Trains; see `train_tiny`."""

    def __call__(self, config: TrainConfig, *, resume: bool = False) -> TrainingResult:
        """Run the settings."""


@pytest.fixture(scope="session")
def train_tiny() -> Train:
    """Return a function that trains by the settings given to it."""
    return run_training


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: MakeConfig, one_thread: None) -> Run:
    """A run of three epochs. Read it, leave it as it is."""
    config = tiny(tmp_path_factory.mktemp("runs") / "finished")
    return Run(config, run_training(config))


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory, finished: Run) -> Run:
    """The same run once more in another folder."""
    config = replace(finished.config, out=tmp_path_factory.mktemp("runs") / "twin")
    return Run(config, run_training(config))
