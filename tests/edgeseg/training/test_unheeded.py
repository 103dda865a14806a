from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeseg.config import (
    DataConfig,
    DistillationConfig,
    LossConfig,
    ModelConfig,
    TrainConfig,
    flatten,
    unflatten,
)
from edgeseg.data.augment_config import AugmentConfig
from edgeseg.training.start import resolve
from edgeseg.training.unheeded import check_heeded
from edgeseg_runtime.errors import ConfigError

PLAIN = TrainConfig(DataConfig("x"), Path("y"))
BIG = Path("runs/big")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"loss": LossConfig("dice+lovasz", class_weights="log")},
            "--class-weights log .* ce, focal or ohem in --loss",
        ),
        ({"loss": LossConfig("ohem", label_smoothing=0.1)}, "--label-smoothing 0.1 .* without ce in --loss"),
        ({"loss": LossConfig(focal_gamma=3)}, "--focal-gamma 3 .* without focal"),
        ({"loss": LossConfig(ohem_threshold=0.5)}, "--ohem-threshold 0.5 .* without ohem"),
        ({"loss": LossConfig(ohem_keep=0.5)}, "--ohem-keep 0.5 .* without ohem"),
        ({"data": DataConfig("x", rare_temperature=0.1)}, "--rare-temperature 0.1 .* --sample rare or --copy-paste"),
        ({"distillation": DistillationConfig(distill="logits")}, "--distill logits .* without --teacher"),
        ({"distillation": DistillationConfig(temperature=5)}, "--temperature 5 .* without --teacher"),
        ({"distillation": DistillationConfig(distill_weight=3)}, "--distill-weight 3 .* without --teacher"),
    ],
)
def test_a_setting_that_does_nothing_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_heeded(replace(PLAIN, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": LossConfig("dice+0.5*ohem", class_weights="log", ohem_threshold=0.5, ohem_keep=0.5)},
        {"loss": LossConfig("ce+focal", class_weights="median", label_smoothing=0.1, focal_gamma=3)},
        {"data": DataConfig("x", sample="rare", rare_temperature=0.1)},
        {"data": DataConfig("x", rare_temperature=0.1), "augmentation": AugmentConfig(copy_paste=0.5)},
        {"distillation": DistillationConfig(BIG, distill="logits", temperature=5, distill_weight=3)},
        {"model": ModelConfig("yolact_mobilenet_v2")},
    ],
)
def test_settings_that_count_pass(changes: dict[str, Any]) -> None:
    check_heeded(replace(PLAIN, **changes))


def test_what_a_run_wrote_of_itself_passes() -> None:
    check_heeded(unflatten(TrainConfig, flatten(resolve(PLAIN))))
