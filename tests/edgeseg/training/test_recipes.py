"""Training with everything that augmentation and sampling can do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from lightning.fabric import Fabric

from edgeseg.config import OptimConfig, TrainConfig
from edgeseg.data.augment_config import AugmentConfig
from edgeseg.data.open import open_data
from edgeseg.data.sampling import RareClassSampler
from edgeseg.training.batch_preview import BATCH, first_items, write_batch
from edgeseg.training.loading import make_loader
from edgeseg.training.runlog import METRICS
from edgeseg.training.start import make_contract, resolve
from edgeseg_runtime.errors import ConfigError

PIECES = AugmentConfig(rotate=0, noise=0.1, mosaic=0.3, classmix=0.3, copy_paste=0.3, cutout=0.2, class_crop=0.5)


def everything(config: TrainConfig) -> TrainConfig:
    data = replace(config.data, augment="strong", sample="rare", rare_temperature=0.05)
    return replace(config, data=data, augmentation=PIECES)


def test_the_number_of_workers_changes_no_number(tiny: Any, train_tiny: Any, tmp_path: Path) -> None:
    for workers in (0, 2):
        train_tiny(everything(tiny(tmp_path / str(workers), epochs=2, workers=workers)))
    assert (tmp_path / "0" / METRICS).read_bytes() == (tmp_path / "2" / METRICS).read_bytes()
    assert (tmp_path / "0" / BATCH).read_bytes() == (tmp_path / "2" / BATCH).read_bytes()


def test_a_run_leaves_a_picture_of_what_its_first_step_saw(finished: Any, tmp_path: Path) -> None:
    config = resolve(finished.config)
    data = open_data(config.data.data, "train")
    contract = make_contract(config, data)
    loader = make_loader(config, data, contract, Fabric(accelerator="cpu", devices=1))
    write_batch(tmp_path / BATCH, first_items(loader), contract)
    assert (tmp_path / BATCH).read_bytes() == (finished.out / BATCH).read_bytes()
    picture = cv2.imread(str(finished.out / BATCH))
    assert picture is not None
    assert picture.std() > 20


@pytest.mark.parametrize(("rank", "replicas"), [(0, 1), (1, 3)])
def test_rare_sampling_takes_this_processs_share(rank: int, replicas: int, tiny: Any, tmp_path: Path) -> None:
    class Process:
        world_size, global_rank, device = replicas, rank, torch.device("cpu")

    config = resolve(replace(everything(tiny(tmp_path)), optim=OptimConfig(epochs=1, batch=2)))
    data = open_data(config.data.data, "train")
    loader = make_loader(config, data, make_contract(config, data), Process())  # type: ignore[arg-type]
    sampler = loader.sampler
    assert isinstance(sampler, RareClassSampler)
    assert (sampler.rank, sampler.replicas, len(sampler)) == (rank, replicas, 16 // replicas)
    assert len(list(loader)) == 16 // replicas // 2


def test_too_large_a_batch_is_refused_here_too(tiny: Any, tmp_path: Path) -> None:
    config = resolve(replace(everything(tiny(tmp_path)), optim=OptimConfig(epochs=1, batch=17)))
    data = open_data(config.data.data, "train")
    with pytest.raises(ConfigError, match="--batch 17 is more than the 16 training pictures"):
        make_loader(config, data, make_contract(config, data), Fabric(accelerator="cpu", devices=1))
