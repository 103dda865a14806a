"""Runs of an instance model so small that they train in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from edgeseg.config import DataConfig, MachineConfig, ModelConfig, OptimConfig, TrainConfig
from edgeseg.training.instances.task import InstanceTask
from edgeseg.training.loop import train
from tests.edgeseg.conftest import Run
from tests.edgeseg.training.instances.scenes import easy

MODEL = "yolact_shufflenet_v2_x0_5"


class MakeObjectsConfig(Protocol):
    """Makes the settings of a tiny run; see `tiny_objects`."""

    def __call__(self, out: Path, *, data: str = "none on disk", epochs: int = 1) -> TrainConfig:
        """Return the settings of a run in `out`."""


@pytest.fixture(scope="session")
def tiny_objects() -> MakeObjectsConfig:
    """Return a function from a folder to the settings of a run there: 64×64, batches of four."""

    def make(out: Path, *, data: str = "none on disk", epochs: int = 1) -> TrainConfig:
        return TrainConfig(
            DataConfig(data, size=(64, 64), workers=0, augment="light"),
            out,
            ModelConfig(MODEL),
            optim=OptimConfig(epochs=epochs, batch=4, lr=0.005, ema=0.5),
            machine=MachineConfig(device="cpu", precision="float32"),
        )

    return make


@pytest.fixture(scope="session")
def easy_task() -> InstanceTask:
    """Sixteen pictures to learn from, four to score."""
    return InstanceTask(easy(16, seed=0), easy(4, seed=1))


@pytest.fixture(scope="session")
def finished_objects(
    tmp_path_factory: pytest.TempPathFactory, tiny_objects: MakeObjectsConfig, easy_task: InstanceTask, one_thread: None
) -> Run:
    """A run that finds some of the objects. Read it, leave it as it is."""
    config = tiny_objects(tmp_path_factory.mktemp("runs") / "objects", epochs=8)
    return Run(config, train(config, easy_task, report=lambda _: None))
