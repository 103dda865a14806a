"""The task of saying for each pixel which class it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edgeseg.compress.importance import Losses
from edgeseg.config import TrainConfig
from edgeseg.data.base import IGNORE, SegmentationData
from edgeseg.data.torch_dataset import drawn_samples, stack_frames
from edgeseg.models.branches import fold_branches
from edgeseg.training.batch_preview import first_items, write_batch
from edgeseg.training.enlarge import at_size_of
from edgeseg.training.evaluate import check_classes, evaluate
from edgeseg.training.loading import make_loader
from edgeseg.training.objective import make_criterion, make_objective
from edgeseg.training.pixel_losses import cross_entropy
from edgeseg.training.runlog import prediction_strip
from edgeseg.training.start import make_contract, make_distiller, make_module
from edgeseg.training.supervision import Supervised, supervised_objective
from edgeseg.training.task import JUDGED, JUDGED_BATCH, SHOWN, Headline, Scored, Step
from edgeseg_export.deployable import Deployable, FrameModule, TorchSegmenter
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image, to_input_mask
from edgeseg_runtime.progress import Progress


class SemanticTask:
    """Pictures with a class for each pixel; the headline is the mean IoU over classes."""

    headline = Headline("mean_iou", "mIoU", ("pixel_accuracy",))

    def __init__(self, train_data: SegmentationData, val_data: SegmentationData) -> None:
        self.train_data, self.val_data = train_data, val_data

    def make_contract(self, config: TrainConfig) -> Contract:
        """See Task."""
        contract = make_contract(config, self.train_data)
        check_classes(self.val_data, contract.names)
        return contract

    def make_loader(
        self, config: TrainConfig, contract: Contract, fabric: Fabric, progress: Progress
    ) -> DataLoader[Any]:
        """See Task; a target is a uint8 (N, H, W) tensor of classes."""
        return make_loader(config, self.train_data, contract, fabric, progress)

    def make_module(
        self,
        config: TrainConfig,
        contract: Contract,
        *,
        fresh: bool,
        progress: Progress,
        report: Callable[[str], None],
    ) -> Deployable:
        """See Task and `edgeseg.training.start.make_module`."""
        return make_module(config, contract, self.train_data, fresh=fresh, progress=progress, report=report)

    def make_step(self, config: TrainConfig, module: FrameModule, fabric: Fabric) -> Step:
        """Return the loss against the labels, with what a teacher and auxiliary heads add to it."""
        assert isinstance(module, Deployable)
        criterion = make_criterion(config, self.train_data, fabric.device)
        objective = make_objective(criterion, make_distiller(config, module, fabric.device), fabric)
        if isinstance(module, Supervised):
            objective = supervised_objective(objective, criterion, module, config.loss.aux_weight)

        def step(wrapped: Any, frames: Tensor, target: Tensor) -> Tensor:
            return objective(frames, wrapped(frames), target)

        return step

    def sample_losses(self, contract: Contract, seed: int) -> Losses:
        """See Task: the cross-entropy at the contract's size."""
        for data in (self.train_data, self.val_data):
            check_classes(data, contract.names)

        def losses(net: nn.Module) -> Iterator[Tensor]:
            device = next(net.parameters()).device
            module = Deployable(net, contract).to(device)
            for samples in drawn_samples(self.train_data, JUDGED, JUDGED_BATCH, seed):
                frames = stack_frames(samples, contract)
                masks = torch.stack([torch.from_numpy(to_input_mask(sample.mask, contract)) for sample in samples])
                target = masks.to(device).long()
                yield cross_entropy(at_size_of(target, module.scores(frames.to(device))), target, IGNORE)

        return losses

    def write_preview(self, path: Path, loader: DataLoader[Any], contract: Contract) -> None:
        """See Task."""
        write_batch(path, first_items(loader), contract)

    def score(self, net: nn.Module, contract: Contract, device: torch.device, progress: Progress) -> Scored:
        """See Task; what is saved has no branches that only training needs."""
        folded = fold_branches(net)
        segment = TorchSegmenter(Deployable(folded, contract), device)
        scores = evaluate(segment, self.val_data, contract.names, progress)
        metrics = scores.as_dict(contract.names)
        numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, (int, float))}
        for name, iou in zip(contract.names, scores.iou, strict=True):
            numbers[f"iou/{name}"] = float(iou)
        return Scored(scores.mean_iou, numbers, metrics, folded, contract, self._strips(segment))

    def _strips(self, segment: TorchSegmenter) -> Iterator[tuple[str, Image]]:
        for index in range(min(SHOWN, len(self.val_data))):
            sample = self.val_data.read(index)
            strip = prediction_strip(sample.image, sample.mask, segment(sample.image), segment.contract)
            yield self.val_data.name(index), strip
