"""How pictures reach a training step: which ones, varied how, by how many processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import cv2
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from edgeseg.config import TrainConfig
from edgeseg.data.augmentation.pipeline import augmentation
from edgeseg.data.base import SegmentationData
from edgeseg.data.sampling import RareClassSampler
from edgeseg.data.torch_dataset import TrainingSet
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.progress import Progress, silent

LAST_SECONDS = 3
"""How long a worker that is asked to end leaves it to its parent."""


def make_loader(
    config: TrainConfig, data: SegmentationData, contract: Contract, fabric: Fabric, progress: Progress = silent
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return a loader of uint8 (batch, H, W, 3) frames and (batch, H, W) targets, this process's share of them."""
    before_workers()
    augment = augmentation(config.data.augment, contract, config.augmentation)
    counted = config.data.sample == "rare" or augment.counts_classes
    temperature = config.data.rare_temperature if counted else None
    dataset = TrainingSet(data, contract, augment, config.machine.seed, rare_temperature=temperature, progress=progress)
    return batches(config, dataset, make_sampler(config, dataset, fabric), fabric)


def before_workers() -> None:
    """Do what must be done before pictures are read here and, later, by forked workers.

    OpenCV's thread pool does not survive the fork: they would wait for it for ever.
    """
    cv2.setNumThreads(1)


def batches(
    config: TrainConfig,
    dataset: Dataset[Any],
    sampler: RareClassSampler | DistributedSampler[Any],
    fabric: Fabric,
    collate: Callable[[list[Any]], Any] | None = None,
) -> DataLoader[Any]:
    """Return a loader of the batches that `sampler` chooses, joined by `collate`. Raises ConfigError."""
    if len(sampler) < config.optim.batch:
        raise ConfigError(
            f"--batch {config.optim.batch} is more than the {len(sampler)} training pictures of a process"
        )
    return DataLoader(
        dataset,
        batch_size=config.optim.batch,
        sampler=sampler,
        num_workers=config.data.workers,
        drop_last=True,
        persistent_workers=config.data.workers > 0,
        multiprocessing_context="fork" if config.data.workers else None,
        # The loader draws a seed when its workers start, and from then on none. Drawn from the common generator, that
        # would make dropout depend on the number of workers, and on whether the run was resumed.
        generator=torch.Generator(),
        pin_memory=fabric.device.type == "cuda",
        worker_init_fn=_leave_signals_to_the_parent,
        collate_fn=collate,
    )


def make_sampler(
    config: TrainConfig, dataset: TrainingSet, fabric: Fabric
) -> RareClassSampler | DistributedSampler[tuple[Tensor, Tensor]]:
    """Return what says which pictures come when, this process's share of them."""
    if config.data.sample == "rare":
        replicas, rank = fabric.world_size, fabric.global_rank
        return RareClassSampler(dataset.rare, len(dataset), seed=config.machine.seed, replicas=replicas, rank=rank)
    return every_picture_once(config, dataset, fabric)


def every_picture_once(config: TrainConfig, dataset: Dataset[Any], fabric: Fabric) -> DistributedSampler[Any]:
    """Return what gives out each picture once an epoch, in another order each time, this process's share of them."""
    replicas, rank = fabric.world_size, fabric.global_rank
    return DistributedSampler(dataset, replicas, rank, shuffle=True, seed=config.machine.seed, drop_last=True)


def _leave_signals_to_the_parent(_worker: int) -> None:
    """Ctrl-C reaches the whole process group; a worker that died of it would look like a fault to the parent.

    SIGTERM is also how Python ends the workers that are left when a bug ends the parent, which then waits for them: it
    comes with a delay in which a parent that got it too has ended them in good order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))  # an end by the alarm itself would look like a fault again
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(LAST_SECONDS))
