from __future__ import annotations

from itertools import pairwise
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from edgeseg.config import OptimConfig
from edgeseg.training.optimisation import learning_rate_factor, make_average, make_optimizer, make_schedule
from edgeseg_runtime.errors import ConfigError


def test_poly_by_hand() -> None:
    config = OptimConfig(warmup=0, schedule="poly")
    factors = [learning_rate_factor(step, 10, config) for step in (0, 5, 10)]
    assert factors == pytest.approx([1, 0.5**0.9, 0])


def test_cosine_by_hand() -> None:
    config = OptimConfig(warmup=0, schedule="cosine")
    factors = [learning_rate_factor(step, 8, config) for step in (0, 4, 8)]
    assert factors == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize("warmup", [None, 0.5])
def test_one_cycle_is_pytorchs(warmup: float | None) -> None:
    config, total = OptimConfig(schedule="onecycle", warmup=warmup), 40
    top = round((0.3 if warmup is None else warmup) * total)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    # PyTorch counts the steps from 1 and reaches the top a step before its share of them
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total + 1, pct_start=(top + 1) / (total + 1), cycle_momentum=False
    )
    expected = []
    for _ in range(total + 1):
        expected.append(reference.get_last_lr()[0])
        optimizer.step()
        if len(expected) <= total:
            reference.step()
    assert [learning_rate_factor(step, total, config) for step in range(total + 1)] == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_warm_up_rises_to_one_and_then_falls(schedule: str) -> None:
    config = OptimConfig(warmup=0.25, schedule=schedule)  # type: ignore[arg-type]
    factors = [learning_rate_factor(step, 100, config) for step in range(100)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[25] == 1
    assert all(one < other for one, other in pairwise(factors[:26]))
    assert all(one > other for one, other in pairwise(factors[25:]))


class Segmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Conv2d(4, 2, 1)


def test_the_trunk_has_its_own_rate_and_the_schedule_drives_both() -> None:
    net, config = Segmenter(), OptimConfig(lr=0.4, trunk_lr=0.1, weight_decay=0.2, warmup=0, schedule="cosine")
    optimizer = make_optimizer(net, config)
    schedule = make_schedule(optimizer, 2, config)
    optimizer.step()
    schedule.step()  # half way: half of each rate
    found = {
        id(value): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for value in group["params"]
    }
    assert {label: found[id(value)] for label, value in net.named_parameters()} == {
        "encoder.0.weight": (pytest.approx(0.02), 0.2),
        "encoder.0.bias": (pytest.approx(0.02), 0),
        "encoder.1.weight": (pytest.approx(0.02), 0),
        "encoder.1.bias": (pytest.approx(0.02), 0),
        "head.weight": (pytest.approx(0.2), 0.2),
        "head.bias": (pytest.approx(0.2), 0),
    }
    assert schedule.get_last_lr()[0] == pytest.approx(0.2)  # what the log shows is the rest's


def test_a_network_without_a_trunk_has_no_rate_for_it() -> None:
    with pytest.raises(ConfigError, match="--trunk-lr: this network has no backbone or encoder"):
        make_optimizer(nn.Conv2d(3, 4, 3), OptimConfig(lr=0.1, trunk_lr=0.5))


@pytest.mark.parametrize("name", ["sgd", "adamw", "adam"])
def test_only_weights_decay(name: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = make_optimizer(net, OptimConfig(optimizer=name, lr=0.1, weight_decay=0.1))  # type: ignore[arg-type]
    decay = {id(value): group["weight_decay"] for group in optimizer.param_groups for value in group["params"]}
    assert {label: decay[id(value)] for label, value in net.named_parameters()} == {
        "0.weight": 0.1,
        "0.bias": 0,
        "1.weight": 0,
        "1.bias": 0,
    }


def test_the_schedule_drives_the_optimizer() -> None:
    optimizer = make_optimizer(nn.Linear(2, 2), OptimConfig(lr=0.5, warmup=0))
    schedule = make_schedule(optimizer, 4, OptimConfig(lr=0.5, warmup=0))
    rates = []
    for _ in range(4):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.5 * (1 - step / 4) ** 0.9 for step in (1, 2, 3, 4)])


def test_the_average_by_hand() -> None:
    net = nn.BatchNorm1d(1)
    average = make_average(net, 0.9)
    expected = 1.0
    for count, value in enumerate((2.0, 4.0, 8.0)):
        with torch.no_grad():
            net.weight.fill_(value)
            net.running_mean.fill_(value)  # type: ignore[union-attr]
            net.num_batches_tracked.fill_(int(value))  # type: ignore[union-attr]
        average.update_parameters(net)
        # the first update copies; after that the decay is the smaller of .9 and (1 + n) / (10 + n)
        decay = min(0.9, (1 + count) / (10 + count)) if count else 0.0
        expected = decay * expected + (1 - decay) * value
        assert cast(Tensor, average.module.weight).item() == pytest.approx(expected)
        assert cast(Tensor, average.module.running_mean).item() == pytest.approx(expected)
        assert cast(Tensor, average.module.num_batches_tracked).item() == int(value)


def test_decay_zero_follows_the_weights() -> None:
    net = nn.Linear(1, 1)
    average = make_average(net, 0)
    for value in (3.0, 5.0):
        nn.init.constant_(net.weight, value)
        average.update_parameters(net)
        assert cast(Tensor, average.module.weight).item() == value


def test_a_network_that_names_its_trunk_has_no_other() -> None:
    """A detector's backbone has a pyramid in it, which comes untrained."""

    class Detector(nn.Module):
        trunk = "backbone.body"

        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.ModuleDict({"body": nn.Linear(3, 4, bias=False), "pyramid": nn.Linear(4, 5, bias=False)})

    module = nn.ModuleDict({"net": Detector()})  # as a deployable module holds it
    optimizer = make_optimizer(module, OptimConfig(lr=0.5, trunk_lr=0.2))
    rates = {tuple(group["params"][0].shape): group["lr"] for group in optimizer.param_groups}
    assert rates == {(4, 3): 0.1, (5, 4): 0.5}
