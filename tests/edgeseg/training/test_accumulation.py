"""Gradients of several batches added up before a step, on a network without batch normalisation: there it is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from edgeseg.config import DataConfig, OptimConfig, TrainConfig
from edgeseg.training.loop import make_state, steps_an_epoch, train_epoch
from edgeseg_export.deployable import Deployable
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.progress import silent

CONTRACT = Contract((Label("a", (0, 0, 0)), Label("b", (9, 9, 9))), height=8, width=8)


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(3)
        self.frames = torch.randint(256, (count, 8, 8, 3), generator=generator, dtype=torch.uint8)
        self.masks = torch.randint(2, (count, 8, 8), generator=generator)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.frames[index], self.masks[index]

    def set_epoch(self, epoch: int) -> None:
        """Every epoch is alike."""


def weights_after_an_epoch(count: int, batch: int, accumulate: int) -> tuple[Tensor, float, int]:
    """Return the weights, the mean loss and the number of steps."""
    optim = OptimConfig(
        epochs=1, batch=batch, accumulate=accumulate, optimizer="sgd", lr=0.5, warmup=0, ema=0, clip=0.5
    )
    config = TrainConfig(DataConfig("nowhere"), Path("nowhere"), optim=optim)
    torch.manual_seed(0)
    module = Deployable(nn.Conv2d(3, 2, 3, padding=1), CONTRACT)
    data = Pictures(count)
    sampler: Any = DistributedSampler(data, 1, 0, shuffle=False)
    loader = DataLoader(data, batch_size=batch, sampler=sampler)
    state = make_state(config, module, steps_an_epoch(len(loader), accumulate))
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped, optimizer = fabric.setup(module, state.optimizer)

    def step(module: nn.Module, frames: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(module(frames), target)

    loss = train_epoch(config, state, fabric, wrapped, optimizer, loader, step, silent)
    return torch.cat([value.detach().flatten() for value in module.parameters()]), loss, state.schedule.last_epoch


@pytest.mark.parametrize("accumulate", [2, 4])
def test_small_batches_added_up_are_one_large_batch(accumulate: int) -> None:
    small, small_loss, small_steps = weights_after_an_epoch(16, 8 // accumulate, accumulate)
    large, large_loss, large_steps = weights_after_an_epoch(16, 8, 1)
    assert small_steps == large_steps == 2
    torch.testing.assert_close(small, large)
    assert small_loss == pytest.approx(large_loss, rel=1e-5)


def test_what_is_left_over_at_the_end_is_a_step_of_its_own() -> None:
    some, _, steps = weights_after_an_epoch(10, 2, 4)
    assert steps == steps_an_epoch(5, 4) == 2
    every, _, _ = weights_after_an_epoch(8, 2, 4)  # without the last batch
    assert not torch.allclose(some, every)


def test_without_it_every_batch_is_a_step() -> None:
    _, _, steps = weights_after_an_epoch(8, 2, 1)
    assert steps == 4
