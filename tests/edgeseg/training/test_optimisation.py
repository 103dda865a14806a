from __future__ import annotations

from itertools import pairwise
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from edgeseg.config import OptimConfig
from edgeseg.training.optimisation import learning_rate_factor, make_average, make_optimizer, make_schedule


def test_poly_by_hand() -> None:
    config = OptimConfig(warmup=0, schedule="poly")
    factors = [learning_rate_factor(step, 10, config) for step in (0, 5, 10)]
    assert factors == pytest.approx([1, 0.5**0.9, 0])


def test_cosine_by_hand() -> None:
    config = OptimConfig(warmup=0, schedule="cosine")
    factors = [learning_rate_factor(step, 8, config) for step in (0, 4, 8)]
    assert factors == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_warm_up_rises_to_one_and_then_falls(schedule: str) -> None:
    config = OptimConfig(warmup=0.25, schedule=schedule)  # type: ignore[arg-type]
    factors = [learning_rate_factor(step, 100, config) for step in range(100)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[25] == 1
    assert all(one < other for one, other in pairwise(factors[:26]))
    assert all(one > other for one, other in pairwise(factors[25:]))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
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
