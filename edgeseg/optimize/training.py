"""The weights of a search: the run's own, pruned ones before and after fine-tuning, and quantisation-aware ones."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from torch import nn

from edgeseg.compress.pruning import PruneOptions, prune
from edgeseg.compress.quantize import calibrate, prepare_qat
from edgeseg.config import ModelConfig, TrainConfig, load_config, save_config, unflatten
from edgeseg.data.base import SegmentationData
from edgeseg.optimize.measurements import Impossible
from edgeseg.optimize.scoring import Subset
from edgeseg.optimize.space import Weights
from edgeseg.training.checkpoint import checkpoint_file, load_checkpoint, read_checkpoint
from edgeseg.training.loop import train
from edgeseg.training.prune import START, prune_run, ratio_steps
from edgeseg.training.semantic import SemanticTask
from edgeseg.training.start import calibration_batches
from edgeseg.training.state import CONFIG
from edgeseg_export.deployable import Deployable
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import remove
from edgeseg_runtime.progress import Progress, silent

T = TypeVar("T")
SHAPE_PICTURES = 8
"""Pictures that a file which is only timed gets its int8 ranges from."""


@dataclass
class Trainer:
    """Trains in folders of their own below `root`, each a run like any other; what was killed goes on."""

    source: Path
    """The original's checkpoint."""
    root: Path
    settings: Callable[[Weights, Path], TrainConfig]
    """Of the fine-tuning that leads to these weights, in this folder; --init is filled in here."""
    data: Callable[[], tuple[SegmentationData, SegmentationData]]
    """Training and validation pictures; opened only where something is trained."""
    progress: Progress = silent
    report: Callable[[str], None] = lambda _: None
    _shapes: dict[Weights, nn.Module] = field(default_factory=dict)

    def run(self, weights: Weights) -> Path:
        """Return the checkpoint of trained weights, or the folder of the run that will hold them."""
        if not weights.trained:
            return self.source
        return self.root / (f"p{100 * weights.prune:g}" + "-qat" * weights.qat)

    def net(self, weights: Weights) -> nn.Module:
        """Return the trained network. Raises CheckpointError when it is not there."""
        return load_checkpoint(checkpoint_file(self.run(weights)))[0]

    def shape(self, weights: Weights) -> nn.Module:
        """Return a network like the one that training will give, before it. Raises Impossible."""
        if weights not in self._shapes:
            self._shapes[weights] = self._make_shape(weights)
        return deepcopy(self._shapes[weights])

    def train(self, weights: Weights) -> None:
        """Do the training that leads to these weights, or what is left of it. Raises Impossible."""
        folder = self.run(weights)
        task = SemanticTask(*self.data())
        settings = self.settings(weights, folder)
        if (folder / CONFIG).is_file():
            config = self._here(weights, folder, settings)
            self._possible(lambda: train(config, task, resume=True, progress=self.progress, report=self.report))
            return
        remove(folder)  # killed before its first step
        if weights.qat:
            start = ModelConfig(settings.model.model, init=self.run(Weights(weights.prune)), qat=True)
            settings = replace(settings, model=start)
            self._possible(lambda: train(settings, task, progress=self.progress, report=self.report))
            return
        contract = read_checkpoint(self.source).contract
        steps = ratio_steps(contract.size, weights.prune, 1, _by_gradients(task, contract, settings))
        self._possible(
            lambda: prune_run(settings, self.source, steps, task, progress=self.progress, report=self.report)
        )

    def _here(self, weights: Weights, folder: Path, settings: TrainConfig) -> TrainConfig:
        """Return the settings of a run that was begun, its paths as they are now: the search may have been moved."""
        begun = unflatten(TrainConfig, load_config(folder / CONFIG))
        start = self.run(Weights(weights.prune)) if weights.qat else folder / START
        config = replace(
            begun,
            out=folder,
            model=replace(begun.model, init=start),
            distillation=replace(begun.distillation, teacher=settings.distillation.teacher),
        )
        if config != begun:
            save_config(config, folder / CONFIG)
        return config

    def _make_shape(self, weights: Weights) -> nn.Module:
        net, checkpoint = load_checkpoint(self.source)
        contract = checkpoint.contract
        if weights.prune:
            settings = self.settings(weights, self.run(weights))
            options = _by_gradients(SemanticTask(*self.data()), contract, settings)
            self._possible(lambda: prune(net, contract.size, weights.prune, options))
        if not weights.qat:
            return net.eval()
        module = Deployable(self._possible(lambda: prepare_qat(net, contract)), contract)
        few = Subset.of(self.data()[0], SHAPE_PICTURES)
        calibrate(module.net, calibration_batches(module, few, seed=0))
        return module.net.eval()

    def _possible(self, action: Callable[[], T]) -> T:
        """Do it; what this network cannot have done to it is no mistake of the user's."""
        try:
            return action()
        except ConfigError as error:
            raise Impossible(str(error)) from error


def _by_gradients(task: SemanticTask, contract: Contract, settings: TrainConfig) -> PruneOptions:
    """Return how channels are chosen: as `edgeseg prune` does, so that its nets and a search's are the same."""
    return PruneOptions("taylor", losses=task.sample_losses(contract, settings.machine.seed))
