"""Pruning of instance networks and learning again, by the functions that semantic ones go through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeseg.compress.channels import channel_plan
from edgeseg.compress.pruning import PruneOptions, rank
from edgeseg.config import ModelConfig, TrainConfig
from edgeseg.data.instances.torch_dataset import target, to_picture
from edgeseg.models.instances.registry import build_instance
from edgeseg.training.checkpoint import (
    BEST,
    Checkpoint,
    load_checkpoint,
    load_deployable,
    read_checkpoint,
    save_checkpoint,
)
from edgeseg.training.instances.average_precision import FLOOR, evaluate_instances
from edgeseg.training.instances.losses import prototype_losses
from edgeseg.training.instances.task import InstanceTask
from edgeseg.training.prune import START, prune_run, ratio_steps
from edgeseg_export.instances.deployable import InstanceDeployable, TorchInstanceSegmenter
from edgeseg_runtime.contract import Contract, Selection
from edgeseg_runtime.preprocess import to_input
from tests.edgeseg.training.instances.scenes import LABELS, Scenes, easy

MODEL, SIZE = "yolact_bricknet_s", (64, 64)
CONTRACT = Contract(LABELS, *SIZE, task="instance", output="prototypes", selection=Selection((0.5,) * len(LABELS)))
DATA = easy(12, seed=0)


@pytest.fixture(scope="module")
def net(one_thread: None) -> nn.Module:
    """A network that has seen pictures and learnt nothing. Copy it before it is changed."""
    torch.manual_seed(0)
    made: nn.Module = build_instance(MODEL, len(LABELS), SIZE)
    frames = np.stack([to_input(DATA.read(index).image, CONTRACT) for index in range(8)])
    with torch.no_grad():
        for _ in range(10):
            InstanceDeployable(made, CONTRACT).raw(torch.from_numpy(frames))
    return made.eval()


@pytest.fixture
def source(net: nn.Module, tiny_objects: Any, tmp_path: Path) -> tuple[Path, TrainConfig]:
    """Its checkpoint, and settings to learn again by."""
    config = replace(tiny_objects(tmp_path / "pruned"), model=ModelConfig(MODEL))
    save_checkpoint(tmp_path / "source" / BEST, net, Checkpoint(MODEL, CONTRACT, 3, {"mask_ap": 0.9}))
    return tmp_path / "source", config


class TestSampleLosses:
    def losses(self, net: nn.Module, data: Scenes, seed: int) -> list[float]:
        found = InstanceTask(data, data).sample_losses(CONTRACT, seed)(net)
        return [float(loss.detach()) for loss in found]

    def test_they_are_those_of_training(self, net: nn.Module) -> None:
        (first, *_) = self.losses(net, DATA, seed=5)
        order = torch.randperm(len(DATA), generator=torch.Generator().manual_seed(5))[:4].tolist()
        pictures = [to_picture(DATA.read(index), CONTRACT) for index in order]
        frames = torch.from_numpy(np.stack([picture.image for picture in pictures]))
        output = InstanceDeployable(net, CONTRACT).raw(frames)
        expected = prototype_losses(output, [target(picture) for picture in pictures], SIZE)
        assert first == pytest.approx(sum(float(value.detach()) for value in expected.values()), rel=1e-5)

    def test_every_picture_once_in_an_order_drawn_by_the_seed(self, net: nn.Module) -> None:
        class Counted(Scenes):
            read_ones: list[int]

            def read(self, index: int) -> Any:
                self.read_ones.append(index)
                return super().read(index)

        counted = Counted([])
        counted.samples = DATA.samples
        orders = []
        for seed in (0, 0, 1):
            counted.read_ones = []
            assert len(self.losses(net, counted, seed)) == 3  # twelve pictures, four at a time
            assert sorted(counted.read_ones) == list(range(12))
            orders.append(counted.read_ones)
        assert orders[0] == orders[1] != orders[2]

    def test_the_network_stays_as_it_is(self, net: nn.Module) -> None:
        before = {name: value.clone() for name, value in net.state_dict().items()}
        self.losses(net, DATA, seed=0)
        assert not net.training
        assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())

    def test_pictures_without_objects_count(self, net: nn.Module) -> None:
        blank = Scenes([((64, 64), [])] * 4)
        (loss,) = self.losses(net, blank, seed=0)
        assert 0 < loss < np.inf


@pytest.mark.slow
def test_a_channel_that_no_loss_hangs_on_goes_first(net: nn.Module) -> None:
    """Every other channel of a layer is multiplied by 0 by the one that reads it."""
    losses = InstanceTask(DATA, DATA).sample_losses(CONTRACT, 0)
    maker = net.get_submodule("maps.prototypes.coarse.0.0")
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    idle = list(range(0, 64, 2))
    with torch.no_grad():
        reader: Any = net.get_submodule("maps.prototypes.coarse.1.0")
        reader.weight[:, idle] = 0
    try:
        ranking = rank(net, SIZE, PruneOptions("taylor", losses=losses))
    finally:
        net.load_state_dict(kept)
    (scores,) = (
        found
        for place, found in zip(ranking.places, ranking.scores, strict=True)
        if any(member.layer is maker for member in place.members)
    )
    assert not scores[idle].any()
    assert (scores[1::2] > 0).sum() > 16  # but for those that a ReLU keeps at 0


class TestRun:
    @pytest.mark.slow
    def test_it_is_pruned_scored_and_learns_again(
        self, source: tuple[Path, TrainConfig], easy_task: InstanceTask
    ) -> None:
        file, config = source
        said: list[str] = []
        outcome = prune_run(config, file, ratio_steps(SIZE, 0.3, 1, PruneOptions()), easy_task, report=said.append)
        start, described = load_deployable(config.out / START)
        best, tuned = load_checkpoint(config.out / BEST)
        assert outcome.report.macs_share < 0.8
        assert described.channels == tuned.channels == channel_plan(start.net) == channel_plan(best)
        assert described.metrics == {"mask_ap": outcome.pruned}
        assert outcome.tuned == tuned.metrics["mask_ap"] >= outcome.pruned
        assert said[0].startswith(f"{file}: val mask AP ")
        assert "of the MACs, val mask AP" in said[1]
        assert isinstance(start, InstanceDeployable)
        find = TorchInstanceSegmenter(start, thresholds=(FLOOR,) * len(LABELS))
        scores = evaluate_instances(find, easy_task.val_data, described.contract.names)
        assert outcome.pruned == pytest.approx(scores.mask.ap)
        assert described.contract.selection is not None  # its scores are not the unpruned network's
        assert described.contract.selection.thresholds == pytest.approx(scores.thresholds, abs=1e-6)

    @pytest.mark.slow
    def test_steps_are_runs_of_their_own(self, source: tuple[Path, TrainConfig], easy_task: InstanceTask) -> None:
        file, config = source
        config = replace(config, optim=replace(config.optim, epochs=2))
        outcome = prune_run(config, file, ratio_steps(SIZE, 0.4, 2, PruneOptions()), easy_task, report=lambda _: None)
        shares = [parameters(folder) for folder in (file, config.out / "step-1", config.out)]
        assert shares == sorted(shares, reverse=True)
        assert outcome.report.parameters == (shares[0], shares[2])
        assert read_checkpoint(config.out / BEST).config["init"] == str(config.out / START)


def parameters(folder: Path) -> int:
    return sum(value.numel() for value in load_checkpoint(folder / BEST)[0].parameters())
