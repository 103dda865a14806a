from __future__ import annotations

import pytest
import torch

from edgeseg.models.instances.outputs import PrototypeOutput
from edgeseg.models.instances.registry import INSTANCE_MODELS
from edgeseg.models.registry import MODELS
from edgeseg.training.networks import build_network, task_of
from edgeseg_runtime.errors import ConfigError


def test_the_name_says_the_task() -> None:
    assert {task_of(name) for name in MODELS} == {"semantic"}
    assert {task_of(name) for name in INSTANCE_MODELS} == {"instance"}
    assert not MODELS.keys() & INSTANCE_MODELS.keys()


def test_what_is_built_does_it() -> None:
    image = torch.zeros(1, 3, 64, 96)
    assert build_network("fast_scnn", 3, (64, 96)).eval()(image).shape[1] == 3
    found = build_network("yolact_shufflenet_v2_x0_5", 3, (64, 96)).eval()(image)
    assert isinstance(found, PrototypeOutput)
    assert found.logits.shape[2] == 3


def test_unknown_names_are_answered_with_all_that_are_known() -> None:
    with pytest.raises(ConfigError) as raised:
        build_network("mask_rcnn", 3, (64, 96))
    assert "model 'mask_rcnn' is unknown" in str(raised.value)
    assert all(name in str(raised.value) for name in (*MODELS, *INSTANCE_MODELS))


@pytest.mark.parametrize("name", ["fast_scnn", "yolact_shufflenet_v2_x0_5"])
def test_inputs_that_are_too_small(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} needs inputs of at least"):
        build_network(name, 3, (16, 16))
