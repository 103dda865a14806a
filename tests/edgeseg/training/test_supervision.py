from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from edgeseg.config import LossConfig, ModelConfig
from edgeseg.data.base import IGNORE
from edgeseg.data.open import open_data
from edgeseg.models import build
from edgeseg.training.checkpoint import BEST, load_checkpoint
from edgeseg.training.losses import make_loss
from edgeseg.training.optimisation import make_optimizer
from edgeseg.training.start import make_contract, make_module, resolve
from edgeseg.training.state import STATE
from edgeseg.training.supervision import Supervised, supervise, supervised_objective
from edgeseg_export.deployable import Deployable
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import ConfigError

CONTRACT = Contract(tuple(Label(name, (0, 0, 0)) for name in "abc"), 64, 96)
MODEL = "pspnet_mobilenet_v2"


def supervised() -> Supervised:
    torch.manual_seed(0)
    module = supervise(Deployable(build(MODEL, 3, CONTRACT.size), CONTRACT), 0.4)
    assert isinstance(module, Supervised)
    return module


def frames() -> Tensor:
    return torch.randint(256, (2, 64, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_the_answer_is_the_scores_and_what_each_head_says() -> None:
    module = supervised().eval()
    with torch.no_grad():
        scores, other = module(frames())
        assert torch.equal(scores, module.scores(frames()))
    assert scores.shape == other.shape == (2, 3, 8, 12)
    assert not torch.equal(scores, other)


def test_the_loss_is_the_sum_with_the_weight() -> None:
    criterion = make_loss(LossConfig(), IGNORE, None)
    answers = [torch.randn(2, 3, 64, 96), torch.randn(2, 3, 64, 96)]
    target = torch.randint(3, (2, 64, 96))
    total = supervised_objective(lambda _, scores, truth: 5 * criterion(scores, truth), criterion, supervised(), 0.25)
    expected = 5 * criterion(answers[0], target) + 0.25 * criterion(answers[1], target)
    torch.testing.assert_close(total(frames(), answers, target), expected)


def test_heads_learn_and_are_no_part_of_the_network() -> None:
    module = supervised()
    criterion = make_loss(LossConfig(), IGNORE, None)
    total = supervised_objective(lambda *_: torch.zeros(()), criterion, module, 1.0)  # the heads' loss alone
    total(frames(), module(frames()), torch.randint(3, (2, 64, 96))).backward()  # type: ignore[no-untyped-call]
    assert all(value.grad is not None for value in module.heads.parameters())
    assert module.net.encoder[0][0].weight.grad is not None  # type: ignore[index, union-attr]
    assert not any("heads" in name for name in module.net.state_dict())


def test_without_weight_or_without_taps_a_module_stays_as_it_is() -> None:
    plain = Deployable(build("fast_scnn", 3, CONTRACT.size), CONTRACT)
    assert supervise(plain, 0.4) is plain
    tapped = Deployable(build(MODEL, 3, CONTRACT.size), CONTRACT)
    assert supervise(tapped, 0.0) is tapped


def test_the_networks_first_weights_do_not_depend_on_heads(finished: Any) -> None:
    modules = []
    for weight in (0.0, 0.4):
        config = replace(finished.config, model=ModelConfig(MODEL), loss=LossConfig(aux_weight=weight))
        config, data = resolve(config), open_data(config.data.data, "train")
        torch.manual_seed(0)
        modules.append(make_module(config, make_contract(config, data), data))
    states = [module.net.state_dict() for module in modules]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    optimised = [
        sum(value.numel() for group in make_optimizer(module, config.optim).param_groups for value in group["params"])
        for module in modules
    ]
    assert optimised[0] < optimised[1]


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ConfigError, match="--aux-weight must be at least 0, got -1"):
        LossConfig(aux_weight=-1)


def test_a_run_keeps_heads_to_resume_and_leaves_them_out_of_its_checkpoint(
    finished: Any, train_tiny: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(finished.config.optim, epochs=2)
    config = replace(finished.config, out=tmp_path / "run", model=ModelConfig(MODEL), optim=short)
    whole = replace(config, out=tmp_path / "whole")
    train_tiny(whole)
    from edgeseg.training import loop

    epoch, score = loop.train_epoch, loop.score_epoch

    def killed(config: Any, state: Any, *rest: Any) -> float:
        if state.epoch == 2:
            raise KeyboardInterrupt
        return epoch(config, state, *rest)

    with monkeypatch.context() as patched:
        patched.setattr("edgeseg.training.loop.train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(config)
    assert loop.score_epoch is score
    saved = torch.load(config.out / STATE, weights_only=True)
    assert "0.0.0.weight" in saved["heads"]
    train_tiny(config, resume=True)
    nets = [load_checkpoint(where.out / BEST)[0].state_dict() for where in (whole, config)]
    assert all(torch.equal(value, nets[1][name]) for name, value in nets[0].items())
    with safe_open(config.out / BEST, framework="pt") as file:
        assert set(file.keys()) == set(build(MODEL, 4, (64, 64)).state_dict())
