from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.cli.app import run
from edgeseg.config import TrainConfig
from edgeseg.data.open import open_data
from edgeseg.training.lr_range import MEMORY, RangeTest, find_learning_rate, smoothed
from edgeseg.training.semantic import SemanticTask
from edgeseg_runtime.errors import ConfigError


def curve(steepest: float) -> RangeTest:
    """A loss that falls along a logistic curve of the rate's logarithm, steepest at `steepest`, then explodes."""
    rates = np.geomspace(1e-6, 1, 121)
    losses = 2 - 1 / (1 + np.exp(-3 * np.log10(rates / steepest))) + (rates > 0.3) * 5
    return RangeTest(tuple(rates.tolist()), tuple(losses.tolist()))


@pytest.mark.parametrize("steepest", [1e-4, 1e-3, 1e-2])
def test_the_rate_is_where_the_loss_falls_fastest(steepest: float) -> None:
    assert curve(steepest).suggestion == pytest.approx(steepest, rel=0.13)  # a step is a factor of 1.12


def test_what_is_steep_beyond_the_lowest_loss_does_not_count() -> None:
    rates, losses = (1e-4, 1e-3, 1e-2, 1e-1, 0.3, 1.0), (3.0, 2.5, 1.0, 0.9, 9.0, 1.5)
    assert RangeTest(rates, losses).suggestion == 1e-3


def test_a_loss_that_never_falls_has_no_rate() -> None:
    with pytest.raises(ConfigError, match="never falls"):
        _ = RangeTest((1e-4, 1e-3, 1e-2), (1.0, 2.0, 3.0)).suggestion


def test_averages_by_hand() -> None:
    first, second, third = smoothed([3.0, 1.0, 2.0])
    m = MEMORY
    assert first == pytest.approx(3)
    assert second == pytest.approx((m * 3 + 1) / (m + 1))
    assert third == pytest.approx((m * m * 3 + m * 1 + 2) / (m * m + m + 1))


def test_rates_rise_by_the_same_factor_and_the_same_run_gives_the_same_curve(tiny: Any, tmp_path: Path) -> None:
    config: TrainConfig = tiny(tmp_path / "run")
    data = open_data(config.data.data, "train")
    found = find_learning_rate(config, SemanticTask(data, data), steps=24)
    assert found.rates[0] == pytest.approx(1e-6)
    factors = [math.log(after / before) for before, after in zip(found.rates, found.rates[1:], strict=False)]
    assert factors == pytest.approx([factors[0]] * len(factors))
    assert found == find_learning_rate(config, SemanticTask(data, data), steps=24)
    assert not (tmp_path / "run").exists()  # nothing is kept
    with pytest.raises(ConfigError, match="one process"):
        find_learning_rate(replace(config, machine=replace(config.machine, devices=2)), SemanticTask(data, data))


def test_a_step_takes_as_many_batches_as_in_the_run(tiny: Any, tmp_path: Path) -> None:
    config: TrainConfig = tiny(tmp_path / "run")
    task = SemanticTask(open_data(config.data.data, "train"), open_data(config.data.data, "val"))
    single = find_learning_rate(config, task, steps=12).losses
    paired = find_learning_rate(replace(config, optim=replace(config.optim, accumulate=2)), task, steps=12).losses
    second = single[1] * (MEMORY + 1) - MEMORY * single[0]  # what `smoothed` made of it; the first rate changes little
    assert paired[0] == pytest.approx((single[0] + second) / 2, rel=1e-4)
    assert paired[0] != pytest.approx(single[0], rel=1e-4)


def test_the_verb_leaves_a_curve_and_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lr"
    flags = [*("--data", "procedural:32x32,n=8", "--size", "64", "64", "--batch", "2", "--workers", "0")]
    flags += [*("--device", "cpu", "--precision", "float32", "--out", str(out), "--find-lr")]
    assert run(["train", *flags, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert 1e-6 < answer["lr"] < 1 and len(answer["rates"]) == len(answer["losses"])
    assert sorted(path.name for path in out.iterdir()) == ["lr.csv", "lr.png"]
    assert cv2.imread(str(out / "lr.png")) is not None
    rows = (out / "lr.csv").read_text().splitlines()
    assert rows[0] == "lr,loss" and len(rows) == 1 + len(answer["rates"])
    assert run(["train", *flags, "--resume"]) == 2
    assert "--find-lr begins anew" in capsys.readouterr().err
