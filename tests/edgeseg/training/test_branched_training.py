"""A network that learns with branches is saved without them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from edgeseg.config import ModelConfig
from edgeseg.data.open import open_data
from edgeseg.models.branches import Branched
from edgeseg.training.checkpoint import BEST, load_checkpoint, load_semantic
from edgeseg.training.evaluate import evaluate
from edgeseg.training.start import make_contract, make_module, resolve
from edgeseg_export.deployable import TorchSegmenter


def test_what_is_saved_has_no_branches_and_scores_what_the_run_says(tmp_path: Path, tiny: Any, train_tiny: Any) -> None:
    config = replace(tiny(tmp_path / "run", epochs=1), model=ModelConfig("bricknet_t"))
    result = train_tiny(config)
    module, checkpoint = load_semantic(config.out / BEST)
    assert not any(isinstance(layer, Branched) for layer in module.net.modules())
    data = open_data(config.data.data, "val")
    scores = evaluate(TorchSegmenter(module), data, checkpoint.contract.names)
    assert math.isclose(scores.mean_iou, result.best_score, abs_tol=1e-6)
    assert train_tiny(config, resume=True).epochs == 1  # the state, branches and all, is read


def test_a_run_that_starts_from_another_goes_on_without_branches(tmp_path: Path, tiny: Any, train_tiny: Any) -> None:
    first = resolve(replace(tiny(tmp_path / "first", epochs=1), model=ModelConfig("bricknet_t")))
    data = open_data(first.data.data, "train")
    contract = make_contract(first, data)
    assert any(isinstance(layer, Branched) for layer in make_module(first, contract, data).net.modules())
    train_tiny(first)
    second = replace(first, out=tmp_path / "second", model=ModelConfig(init=first.out))
    net = make_module(replace(second, model=ModelConfig("bricknet_t", init=first.out)), contract, data).net
    assert not any(isinstance(layer, Branched) for layer in net.modules())
    saved, _ = load_checkpoint(first.out / BEST)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(image), saved.eval()(image))
