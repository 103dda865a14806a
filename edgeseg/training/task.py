"""What a task brings to the training loop, which is the same for classes of pixels and for objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edgeseg.compress.importance import Losses
from edgeseg.config import TrainConfig
from edgeseg_export.deployable import FrameModule
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress

Batch: TypeAlias = tuple[Tensor, Any]
"""uint8 (N, H, W, 3) frames in the contract's size and colour order, and what is to be learnt from them."""
Step: TypeAlias = Callable[[Any, Tensor, Any], Tensor]
"""From the module, wrapped for the run's processors, and a batch's frames and targets to what is minimised."""

JUDGED, JUDGED_BATCH = 64, 4
"""Training pictures that channels are judged on by their gradients, and how many of them share one."""
SHOWN = 3
"""Validation pictures that go to TensorBoard with what is said of them, after every scored epoch."""


@dataclass(frozen=True)
class Headline:
    """The one number, 0..1, by which a run's epochs are compared."""

    key: str
    """Its name in metrics.csv and in checkpoints."""
    said: str
    """What people call it."""
    beside: tuple[str, ...] = ()
    """Other columns of metrics.csv that are drawn into one picture with it."""


@dataclass(frozen=True)
class Scored:
    """What a network reached on the validation pictures."""

    score: float
    """The headline."""
    numbers: dict[str, float]
    """A row of metrics.csv; NaN where there is nothing to measure."""
    metrics: dict[str, Any]
    """What the checkpoint says: plain JSON values."""
    net: nn.Module
    """As it is saved."""
    contract: Contract
    """As it is saved: what scoring finds out may be part of it."""
    strips: Iterable[tuple[str, Image]]
    """A few pictures with what is said of them, by name; drawn when asked for."""


class Task(Protocol):
    """A task and the pictures of a run."""

    @property
    def headline(self) -> Headline:
        """What decides which epoch is best."""
        ...

    def make_contract(self, config: TrainConfig) -> Contract:
        """Return the contract between the pictures and the model that learns from them.

        Raises ConfigError for settings that are no use for this task, DatasetError when the splits' classes differ, or
        when they are not those of the run to start from.
        """
        ...

    def make_loader(
        self, config: TrainConfig, contract: Contract, fabric: Fabric, progress: Progress
    ) -> DataLoader[Any]:
        """Return a loader of batches, this process's share of them. Raises ConfigError."""
        ...

    def make_module(
        self,
        config: TrainConfig,
        contract: Contract,
        *,
        fresh: bool,
        progress: Progress,
        report: Callable[[str], None],
    ) -> FrameModule:
        """Return what a training step runs, on the CPU.

        Without `fresh` all values will be read from a saved state. What the weights that the run starts from do not
        give is said to `report`. Raises ConfigError or CheckpointError.
        """
        ...

    def make_step(self, config: TrainConfig, module: FrameModule, fabric: Fabric) -> Step:
        """Return what is minimised, of the module that `make_module` gave."""
        ...

    def sample_losses(self, contract: Contract, seed: int) -> Losses:
        """Return what yields the loss of a network, as it is, on JUDGED training pictures as they are.

        They are drawn by `seed`; a loss is 0-d, of JUDGED_BATCH of them, where the network is. Settings of a run do not
        change it: auxiliary heads, class weights and teachers have no part in it.
        """
        ...

    def write_preview(self, path: Path, loader: DataLoader[Any], contract: Contract) -> None:
        """Write a PNG of the first pictures that the network is shown, as it is shown them."""
        ...

    def score(self, net: nn.Module, contract: Contract, device: torch.device, progress: Progress) -> Scored:
        """Score a network on the validation pictures through the deployed path, in float32."""
        ...
