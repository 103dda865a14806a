"""How pictures and their objects reach a training step."""

from __future__ import annotations

from typing import Any

from lightning.fabric import Fabric
from torch.utils.data import DataLoader

from edgeseg.config import TrainConfig
from edgeseg.data.instances.augment import instance_augmentation
from edgeseg.data.instances.base import InstanceData
from edgeseg.data.instances.torch_dataset import InstanceTrainingSet, collate
from edgeseg.training.loading import batches, before_workers, every_picture_once
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.progress import Progress


def make_loader(
    config: TrainConfig, data: InstanceData, contract: Contract, fabric: Fabric, progress: Progress
) -> DataLoader[Any]:
    """Return a loader of uint8 (batch, H, W, 3) frames and a list of targets, this process's share of them."""
    before_workers()
    augment = instance_augmentation(config.data.augment, contract, config.augmentation)
    dataset = InstanceTrainingSet(data, contract, augment, config.machine.seed, progress=progress)
    return batches(config, dataset, every_picture_once(config, dataset, fabric), fabric, collate)
