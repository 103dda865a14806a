"""The script on a pass of a few small pictures: what it trains and tells, not how fast that is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

import training_speed
from edgeseg.data.base import IGNORE
from edgeseg.data.open import open_data
from edgeseg_runtime.contract import IMAGENET_MEAN, IMAGENET_STD
from edgeseg_runtime.errors import ConfigError
from torchvision_semantic import TorchvisionTraining, Varied
from training_speed import SpeedConfig

pytestmark = pytest.mark.usefixtures("one_thread")

PICTURES = "procedural:64x64,n=10"
LRASPP = "lraspp_mobilenet_v3_large"


def test_both_are_timed_over_the_same_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 9.0, 10.0, 90.0, 100.0, 101.0, 200.0, 202.0, 300.0, 303.0, 400.0, 408.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    out = tmp_path / "speed.json"
    config = SpeedConfig(PICTURES, split="train", size=(64, 64), batch=2, workers=0, rounds=2, out=out)
    code = training_speed.measure(config=config)
    told = json.loads(out.read_text(encoding="utf-8"))
    (row,) = told["models"]
    pictures = len(open_data(PICTURES, "train")) // 2 * 2
    assert row["turns"] == {
        "edgeseg": [pictures / 1, pytest.approx(pictures / 3, abs=1e-3)],
        "torchvision": [pictures / 2, pictures / 8],
    }
    # medians of two are their means
    assert row["times_torchvision"] == pytest.approx((1 + 1 / 3) / (1 / 2 + 1 / 8), abs=1e-3) and code == 0
    assert told["settings"]["rounds"] == 2 and told["command"].startswith("python ")


def test_one_that_is_not_quick_enough_is_told_by_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_speed, "one_model", lambda name, _: {"model": name, "times_torchvision": 1.49})
    assert training_speed.measure(config=SpeedConfig(PICTURES, out=tmp_path / "speed.json")) == 1


def test_no_round_is_refused() -> None:
    with pytest.raises(ConfigError, match="--rounds must be at least 1"):
        SpeedConfig(PICTURES, rounds=0)


def test_the_references_pictures_keep_their_truth_whatever_their_size() -> None:
    data = open_data(PICTURES, "train")
    varied = Varied(data, (48, 80))
    small = 0
    for index in range(len(data)):
        torch.manual_seed(index)
        picture, mask = varied[index]
        assert picture.shape == (3, 48, 80) and picture.dtype == torch.float32
        assert mask.shape == (48, 80) and mask.dtype == torch.int64
        assert set(np.unique(mask.numpy()).tolist()) <= {*range(len(data.labels)), IGNORE}
        padded = mask == IGNORE
        if padded.any():  # the frame around a small picture: black, then normalised
            black = -torch.tensor(IMAGENET_MEAN) / torch.tensor(IMAGENET_STD)
            assert torch.allclose(picture[:, padded].mean(dim=1), black, atol=1e-4)
        small += int(padded.any())
    assert small  # some were smaller than the crop


def test_the_reference_mirrors_picture_and_truth_together() -> None:
    data = open_data(PICTURES, "train")
    sample = data.read(0)
    flip = Varied(data, (64, 64)).vary.transforms[1]
    flip.p = 1.0
    picture, mask = flip(
        tv_tensors.Image(torch.from_numpy(sample.image).permute(2, 0, 1)), tv_tensors.Mask(sample.mask)
    )
    assert np.array_equal(mask.numpy(), sample.mask[:, ::-1])
    assert np.array_equal(picture.permute(1, 2, 0).numpy(), sample.image[:, ::-1])


def test_the_reference_learns() -> None:
    torch.manual_seed(0)
    data = open_data(PICTURES, "train")
    training = TorchvisionTraining(LRASPP, data, (64, 64), 4, 0, epochs=1)
    before = {name: value.clone() for name, value in training.net.named_parameters()}
    assert training.learn() == len(data) // 4 * 4
    assert all(not torch.equal(value, before[name]) for name, value in training.net.named_parameters())


def test_a_network_that_torchvision_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"fast_scnn is not torchvision's, which has .*lraspp_mobilenet_v3_large"):
        TorchvisionTraining("fast_scnn", open_data(PICTURES, "train"), (64, 64), 4, 0, epochs=1)
