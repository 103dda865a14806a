"""The task of telling objects apart: for each a box, a score, a class and a mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edgeseg.compress.importance import Losses
from edgeseg.config import TrainConfig, given
from edgeseg.data.instances.base import InstanceData
from edgeseg.data.instances.torch_dataset import collate, to_item, to_picture
from edgeseg.data.torch_dataset import drawn_samples
from edgeseg.models.instances.registry import instance_spec
from edgeseg.training.batch_preview import first_items
from edgeseg.training.evaluate import check_classes
from edgeseg.training.instances.average_precision import FLOOR, evaluate_instances
from edgeseg.training.instances.learner import InstanceLearner, Sealed, total
from edgeseg.training.instances.loading import make_loader
from edgeseg.training.instances.pictures import prediction_strip, write_batch
from edgeseg.training.instances.settings import check_settings
from edgeseg.training.instances.thresholds import UNSCORED
from edgeseg.training.start import make_contract, round_as_int8, starting_net
from edgeseg.training.task import JUDGED, JUDGED_BATCH, SHOWN, Headline, Scored, Step
from edgeseg_export.deployable import FrameModule
from edgeseg_export.instances.deployable import InstanceDeployable, TorchInstanceSegmenter
from edgeseg_runtime.contract import Contract, Selection
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress


class InstanceTask:
    """Pictures whose objects are told apart; the headline is the average precision of masks."""

    headline = Headline("mask_ap", "mask AP", ("mask_ap50", "box_ap", "mean_f1"))

    def __init__(self, train_data: InstanceData, val_data: InstanceData) -> None:
        self.train_data, self.val_data = train_data, val_data

    def make_contract(self, config: TrainConfig) -> Contract:
        """See Task; until they are scored, all classes' objects need a score of UNSCORED."""
        check_settings(config)
        contract = make_contract(
            config,
            self.train_data,
            task="instance",
            output=instance_spec(given(config.model.model)).output,
            selection=Selection((UNSCORED,) * len(self.train_data.labels)),
        )
        check_classes(self.val_data, contract.names)
        return contract

    def make_loader(
        self, config: TrainConfig, contract: Contract, fabric: Fabric, progress: Progress
    ) -> DataLoader[Any]:
        """See Task; targets are a list of what each picture's objects are, see `prototype_losses`."""
        return make_loader(config, self.train_data, contract, fabric, progress)

    def make_module(
        self,
        config: TrainConfig,
        contract: Contract,
        *,
        fresh: bool,
        progress: Progress,
        report: Callable[[str], None],
    ) -> InstanceLearner:
        """See Task; channels last, which is what CPUs and tensor cores like. With `--qat`, see `round_as_int8`.

        Batch normalisation is learnt in every network, Mask R-CNN's trunk too. torchvision freezes that of an ImageNet
        trunk, for its two pictures a card; here there are more in a batch, and a trunk without weights has nothing to
        freeze.
        """
        module = InstanceLearner(starting_net(config.model, contract, fresh=fresh, report=report), contract)
        if config.model.qat:
            round_as_int8(module, self.train_data, config.machine.seed, fresh=fresh, progress=progress)
        module.net.to(memory_format=torch.channels_last)
        return module

    def make_step(self, config: TrainConfig, module: FrameModule, fabric: Fabric) -> Step:  # noqa: ARG002
        """Return the sum of the module's losses."""

        def step(wrapped: Any, frames: Tensor, targets: Any) -> Tensor:
            return total(wrapped(frames, Sealed(targets)))

        return step

    def sample_losses(self, contract: Contract, seed: int) -> Losses:
        """See Task; for networks of prototypes, whose losses are the same in training and in evaluation mode."""
        for data in (self.train_data, self.val_data):
            check_classes(data, contract.names)

        def losses(net: nn.Module) -> Iterator[Tensor]:
            device = next(net.parameters()).device
            module = InstanceLearner(net, contract).to(device)
            for samples in drawn_samples(self.train_data, JUDGED, JUDGED_BATCH, seed):
                frames, targets = collate([to_item(to_picture(sample, contract)) for sample in samples])
                there = [{name: values.to(device) for name, values in target.items()} for target in targets]
                yield total(module(frames.to(device), Sealed(there)))

        return losses

    def write_preview(self, path: Path, loader: DataLoader[Any], contract: Contract) -> None:
        """See Task."""
        write_batch(path, first_items(loader), contract)

    def score(self, net: nn.Module, contract: Contract, device: torch.device, progress: Progress) -> Scored:
        """See Task; the contract that is saved has the score thresholds that are best on these pictures."""
        module = InstanceDeployable(net, contract)
        every = TorchInstanceSegmenter(module, device, (FLOOR,) * len(contract.labels))
        scores = evaluate_instances(every, self.val_data, contract.names, progress)
        numbers = scores.numbers()
        for name, ap in zip(contract.names, scores.mask.classes, strict=True):
            numbers[f"mask_ap/{name}"] = ap
        assert contract.selection is not None
        chosen = replace(contract, selection=replace(contract.selection, thresholds=scores.thresholds))
        strips = self._strips(TorchInstanceSegmenter(InstanceDeployable(net, chosen), device))
        return Scored(scores.mask.ap, numbers, scores.as_dict(contract.names), net, chosen, strips)

    def _strips(self, segment: TorchInstanceSegmenter) -> Iterator[tuple[str, Image]]:
        for index in range(min(SHOWN, len(self.val_data))):
            sample = self.val_data.read(index)
            yield self.val_data.name(index), prediction_strip(sample, segment(sample.image), segment.contract)
