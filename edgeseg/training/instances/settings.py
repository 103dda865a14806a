"""Settings of a run that say nothing to models that tell objects apart."""

from __future__ import annotations

from dataclasses import fields

from edgeseg.config import LossConfig, TrainConfig, given
from edgeseg.data.augment_config import recipe
from edgeseg.models.instances.registry import instance_spec
from edgeseg_runtime.errors import ConfigError


def check_settings(config: TrainConfig) -> None:
    """Raise ConfigError for a setting that would be left unheeded, and for pieces of augmentation there are not."""
    recipe(config.data.augment, config.augmentation, "instance")
    standard = LossConfig()
    for item in fields(LossConfig):
        value = getattr(config.loss, item.name)
        if value != getattr(standard, item.name):
            raise _unused(item.name, value, f"{config.model.model} learns by the losses of its own paper")
    if config.data.sample != "uniform":
        raise _unused("sample", config.data.sample, "pictures are drawn by the classes of their pixels there")
    if config.distillation.teacher is not None:
        raise _unused("teacher", config.distillation.teacher, "what is imitated are classes of pixels")
    model = given(config.model.model)
    if config.model.qat and instance_spec(model).output == "detections":
        raise ConfigError(
            f"--qat: {model} chooses its regions in the middle of the network, which is no graph to round; "
            "`edgeseg export --int8` makes int8 of it"
        )


def _unused(name: str, value: object, reason: str) -> ConfigError:
    return ConfigError(f"--{name.replace('_', '-')} {value}: {reason}; leave it away")
