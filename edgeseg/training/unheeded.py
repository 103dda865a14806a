"""Settings that change nothing because of other settings: most likely something else was meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeseg.config import TrainConfig, loss_terms
from edgeseg.data.augment_config import recipe
from edgeseg.training.start import TEMPERATURES
from edgeseg_runtime.errors import ConfigError


@dataclass(frozen=True)
class _Dependent:
    """A setting that counts only where another one says so."""

    settings: Any
    name: str
    heeded: bool
    needs: str
    """What would make it count."""

    @property
    def changed(self) -> bool:
        return bool(self.value != getattr(type(self.settings), self.name))

    @property
    def value(self) -> object:
        return getattr(self.settings, self.name)


def check_heeded(config: TrainConfig) -> None:
    """Raise ConfigError for the first setting that is not its default and that nothing depends on."""
    for setting in _dependent(config):
        if setting.changed and not setting.heeded:
            flag = setting.name.replace("_", "-")
            raise ConfigError(f"--{flag} {setting.value} does nothing without {setting.needs}; leave it away")


def _dependent(config: TrainConfig) -> list[_Dependent]:
    loss, data, distillation = config.loss, config.data, config.distillation
    terms = {name for _, name in loss_terms(loss.loss)}
    rare = data.sample == "rare" or bool(recipe(data.augment, config.augmentation).copy_paste)
    taught = distillation.teacher is not None
    # a run's own config.yaml says what was used where none was given
    softened = taught or distillation.temperature == TEMPERATURES[distillation.distill]
    return [
        _Dependent(loss, "class_weights", bool(terms & {"ce", "focal", "ohem"}), "ce, focal or ohem in --loss"),
        _Dependent(loss, "label_smoothing", "ce" in terms, "ce in --loss"),
        _Dependent(loss, "focal_gamma", "focal" in terms, "focal in --loss"),
        _Dependent(loss, "ohem_threshold", "ohem" in terms, "ohem in --loss"),
        _Dependent(loss, "ohem_keep", "ohem" in terms, "ohem in --loss"),
        _Dependent(data, "rare_temperature", rare, "--sample rare or --copy-paste"),
        _Dependent(distillation, "distill", taught, "--teacher"),
        _Dependent(distillation, "temperature", softened, "--teacher"),
        _Dependent(distillation, "distill_weight", taught, "--teacher"),
    ]
