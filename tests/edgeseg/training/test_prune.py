from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
import torch
from torch import nn

from edgeseg.compress.pruning import PruneOptions, macs_share
from edgeseg.config import TrainConfig, flatten, unflatten
from edgeseg.data.open import open_data
from edgeseg.models import build
from edgeseg.training.checkpoint import BEST, load_checkpoint, read_checkpoint
from edgeseg.training.prune import START, cost_steps, prune_run, ratio_steps
from edgeseg.training.semantic import SemanticTask
from edgeseg_runtime.errors import ConfigError, DatasetError

SIZE = (64, 64)


class HasFolder(Protocol):
    """A finished run."""

    @property
    def out(self) -> Path: ...


def test_steps_of_a_ratio_end_at_the_whole() -> None:
    at_once, in_parts = build("unet", 5, SIZE), build("unet", 5, SIZE)
    options = PruneOptions(scope="layer", round_to=1)
    (whole,) = ratio_steps(SIZE, 0.5, 1, options)
    report = whole(at_once)
    parts = [part(in_parts) for part in ratio_steps(SIZE, 0.5, 2, options)]
    assert parts[0].widths["head"] == report.widths["head"] == (5, 5)
    assert parts[0].widths["decoder.0.body.0.0"] == (128, 96)
    assert parts[1].widths["decoder.0.body.0.0"] == (96, 64)
    assert report.widths["decoder.0.body.0.0"] == (128, 64)


@pytest.mark.slow
def test_steps_of_a_cost_go_down_evenly() -> None:
    net = build("fast_scnn", 5, SIZE)
    cost = macs_share(net, SIZE)
    steps = cost_steps(net, SIZE, cost, 0.4, 3, PruneOptions())
    shares = []
    for step in steps:
        step(net)
        shares.append(cost.measure(net))
    for share, bound in zip(shares, (0.8, 0.6, 0.4), strict=True):
        assert bound - 0.05 < share <= bound


def test_no_steps_and_no_ratio() -> None:
    net = build("fast_scnn", 5, SIZE)
    for steps, ratio in ((0, 0.5), (2, 1.0), (2, 0.0)):
        with pytest.raises(ConfigError, match=r"at least 1 step|between 0 and 1"):
            ratio_steps(SIZE, ratio, steps, PruneOptions())
    with pytest.raises(ConfigError, match="at least 1 step"):
        cost_steps(net, SIZE, macs_share(net, SIZE), 0.5, 0, PruneOptions())


def test_a_later_step_with_nothing_to_prune_only_learns_on(finished: HasFolder, tmp_path: Path) -> None:
    """Widths are rounded, so an earlier one may have taken its part, too."""
    checkpoint = read_checkpoint(finished.out / BEST)
    settings = replace(unflatten(TrainConfig, checkpoint.config), out=tmp_path / "out")
    data = open_data("procedural:64x64,n=16", "val")
    first, second = ratio_steps(SIZE, 0.3, 1, PruneOptions("l1")), ratio_steps(SIZE, 0.001, 1, PruneOptions("l1"))
    said: list[str] = []
    outcome = prune_run(
        settings, finished.out, [*first, *second], SemanticTask(data, data), finetune=False, report=said.append
    )
    once, twice = (load_checkpoint(tmp_path / "out" / step / START)[0] for step in ("step-1", "."))
    torch.testing.assert_close(once.state_dict(), twice.state_dict(), rtol=0, atol=0)
    assert outcome.report.macs_share < 0.9
    assert [line for line in said if "a ratio of 0.001 removes nothing" in line and "only learns on" in line]
    with pytest.raises(ConfigError, match="removes nothing"):
        prune_run(replace(settings, out=tmp_path / "other"), finished.out, second, SemanticTask(data, data))


def test_gradients_are_not_taken_of_other_classes(finished: HasFolder) -> None:
    contract = read_checkpoint(finished.out / BEST).contract
    data = open_data("procedural:64x64,n=16", "train")
    for labels in (contract.labels[:-1], contract.labels[::-1]):
        with pytest.raises(DatasetError, match="the pictures have"):
            SemanticTask(data, data).sample_losses(replace(contract, labels=labels), seed=0)


def test_gradient_losses_are_those_of_the_pictures(finished: HasFolder) -> None:
    net, checkpoint = load_checkpoint(finished.out / "best.safetensors")
    data = open_data("procedural:64x64,n=16", "train")
    sample_losses = SemanticTask(data, data).sample_losses
    losses = [float(loss.detach()) for loss in sample_losses(checkpoint.contract, seed=0)(net)]
    assert len(losses) == 4  # 16 pictures, four at a time
    again = [float(loss.detach()) for loss in sample_losses(checkpoint.contract, seed=0)(net)]
    other = [float(loss.detach()) for loss in sample_losses(checkpoint.contract, seed=1)(net)]
    assert losses == again != other
    assert sum(losses) == pytest.approx(sum(other), rel=1e-3)  # every picture once, in another order
    torch.manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight)
    worse = [float(loss.detach()) for loss in sample_losses(checkpoint.contract, seed=0)(net)]
    assert min(worse) > max(losses)


def test_settings_survive_being_written_flat(tmp_path: Path, tiny: Callable[..., TrainConfig]) -> None:
    config = tiny(tmp_path / "run")
    assert unflatten(TrainConfig, flatten(config)) == config
