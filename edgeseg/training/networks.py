"""Networks by name, whatever their task: the name says which it is."""

from __future__ import annotations

from torch import nn

from edgeseg.models.instances.registry import INSTANCE_MODELS, build_instance
from edgeseg.models.pretrained import Weights
from edgeseg.models.registry import MODELS, build
from edgeseg_runtime.contract import Task
from edgeseg_runtime.errors import ConfigError


def task_of(model: str) -> Task:
    """Return what architecture `model` is for. Raises ConfigError listing the known ones."""
    if model in INSTANCE_MODELS:
        return "instance"
    if model in MODELS:
        return "semantic"
    raise ConfigError(f"model {model!r} is unknown; choose one of {', '.join((*MODELS, *INSTANCE_MODELS))}")


def build_network(model: str, classes: int, size: tuple[int, int], weights: Weights = "none") -> nn.Module:
    """Build architecture `model` for `classes` classes and (height, width) inputs.

    Raises ConfigError when the name is unknown, the size is too small for it, or it has no such weights, and
    CheckpointError when the weights cannot be had.
    """
    make = build_instance if task_of(model) == "instance" else build
    return make(model, classes, size, weights)
