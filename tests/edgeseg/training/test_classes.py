from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgeseg.compress.channels import channel_plan
from edgeseg.compress.pruning import prune
from edgeseg.config import ModelConfig, OptimConfig
from edgeseg.data.open import open_data
from edgeseg.models import build
from edgeseg.training.checkpoint import BEST, Checkpoint, load_checkpoint, read_checkpoint, save_checkpoint
from edgeseg.training.classes import for_classes, plan_for_classes
from edgeseg.training.start import make_contract, resolve, starting_net
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import DatasetError


def labels(count: int) -> tuple[Label, ...]:
    return tuple(Label(f"class {index}", (index, 0, 0)) for index in range(count))


@pytest.mark.parametrize("classes", [3, 9])
@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("name", ["fast_scnn", "lraspp_mobilenet_v3_large"])
def test_all_but_the_last_layers_stays(name: str, pruned: bool, classes: int) -> None:
    torch.manual_seed(0)
    contract = Contract(labels(5), 64, 96)
    net = build(name, 5, contract.size).eval()
    if pruned:
        prune(net, contract.size, 0.4)
    start = Checkpoint(name, contract, 1, channels=channel_plan(net) if pruned else {})
    other, anew = for_classes(net, start, classes)
    expected = ["classifier.3"] if name == "fast_scnn" else ["classifier.low_classifier", "classifier.high_classifier"]
    assert anew == expected
    own = other.state_dict()
    for key, value in net.state_dict().items():
        if key.rpartition(".")[0] not in anew:
            assert torch.equal(own[key], value)
    for layer in anew:
        weight, before = own[f"{layer}.weight"], net.state_dict()[f"{layer}.weight"]
        assert weight.shape == (classes, *before.shape[1:])
        assert float(weight.std()) > 0
    assert other.eval()(torch.zeros(1, 3, 64, 96)).shape[1] == classes
    assert plan_for_classes(start, classes) == (channel_plan(other) if pruned else {})


def other_data(config: Any) -> Any:
    """Return pictures of fewer classes than the run knows."""
    data = open_data(config.data.data, "train")

    class Fewer:
        labels = data.labels[:4]

        def __len__(self) -> int:
            return len(data)

    return Fewer()


def test_a_run_starts_from_one_that_knows_more_classes(finished: Any) -> None:
    config = resolve(replace(finished.config, model=ModelConfig(init=finished.out)))
    contract = make_contract(config, other_data(config))
    assert len(contract.labels) == 4
    said: list[str] = []
    net = starting_net(config.model, contract, report=said.append)
    known = len(read_checkpoint(finished.out / BEST).contract.labels)
    assert said == [f"{finished.out} knows {known} classes, these pictures have 4; learnt anew: classifier.3"]
    assert net(torch.zeros(2, 3, 64, 64)).shape[1] == 4


def test_int8_training_needs_the_same_classes(finished: Any) -> None:
    config = resolve(replace(finished.config, model=ModelConfig(init=finished.out, qat=True), optim=OptimConfig()))
    with pytest.raises(DatasetError, match="they must be the same"):
        make_contract(config, other_data(config))


def test_a_run_from_a_pruned_one_with_other_classes_is_loaded_again(
    finished: Any, train_tiny: Any, tmp_path: Path
) -> None:
    contract = Contract(labels(5), 64, 64)
    net = build("fast_scnn", 5, contract.size).eval()
    prune(net, contract.size, 0.4)
    save_checkpoint(
        tmp_path / "start.safetensors", net, Checkpoint("fast_scnn", contract, 1, channels=channel_plan(net))
    )
    config = replace(
        finished.config,
        out=tmp_path / "run",
        model=ModelConfig(init=tmp_path / "start.safetensors"),
        optim=replace(finished.config.optim, epochs=1),
    )
    train_tiny(config)
    again, checkpoint = load_checkpoint(config.out / BEST)
    assert len(checkpoint.contract.labels) != 5
    assert channel_plan(again) == checkpoint.channels
