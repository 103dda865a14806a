from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeseg.config import DataConfig, DistillationConfig, LossConfig, ModelConfig, TrainConfig
from edgeseg.data.augment_config import AugmentConfig
from edgeseg.training.instances.settings import check_settings
from edgeseg_runtime.errors import ConfigError

PLAIN = TrainConfig(DataConfig("x"), Path("y"), ModelConfig("yolact_mobilenet_v2"))


def test_what_says_nothing_special_is_taken() -> None:
    check_settings(PLAIN)
    check_settings(replace(PLAIN, augmentation=AugmentConfig(copy_paste=0.3)))
    check_settings(replace(PLAIN, model=ModelConfig("yolact_mobilenet_v2", init=Path("z"), qat=True)))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"loss": LossConfig("focal")}, "--loss focal: yolact_mobilenet_v2 learns by the losses of its own paper"),
        ({"loss": LossConfig(class_weights="median")}, "--class-weights median"),
        ({"loss": LossConfig(aux_weight=0)}, "--aux-weight 0"),
        ({"data": DataConfig("x", sample="rare")}, "--sample rare"),
        ({"distillation": DistillationConfig(teacher=Path("runs/big"))}, "--teacher runs/big"),
        ({"model": ModelConfig("maskrcnn_resnet50_fpn", init=Path("z"), qat=True)}, "--qat: maskrcnn_resnet50_fpn"),
        ({"augmentation": AugmentConfig(classmix=0.5)}, "--classmix"),
    ],
)
def test_what_would_be_left_unheeded_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_settings(replace(PLAIN, **changes))
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)
