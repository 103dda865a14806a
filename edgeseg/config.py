"""Settings of a training run. These dataclasses are the command line's flags, the config file and `config.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_type_hints

import yaml
from cyclopts import Group, Parameter

from edgeseg.data.augment_config import AugmentConfig, Preset, recipe
from edgeseg_runtime.contract import Interpolation, Resize
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import write_text

T = TypeVar("T")
WEIGHT_FILES = (".safetensors", ".pt", ".pth")


def given(value: T | None) -> T:
    """Return a setting whose default depends on others, once `training.start.resolve` has filled it in."""
    assert value is not None, "the settings were not resolved"
    return value


def _at_least(flag: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"--{flag} must be at least {least}, got {value}")


def _between(flag: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"--{flag} must be between {low} and {high}, got {value}")


@Parameter(name="*", group=Group("Data", sort_key=1))
@dataclass(frozen=True)
class DataConfig:
    """What is learnt from."""

    data: str
    """Folder of labelled pictures, or `procedural` for the built-in set (`procedural:96x128`)."""
    format: str = "auto"
    """How the folder is laid out; `auto` recognises it."""
    split: str = "train"
    """Split that is trained on."""
    val_split: str = "val"
    """Split that is scored while training goes on."""
    skip_bad: bool = False
    """Go on without pictures that cannot be used instead of stopping."""
    size: tuple[int, int] | None = None
    """Height and width of the model's input; 360 480 if not given, or what --init was trained at."""
    resize: Resize | None = None
    """`stretch` fills the input; `letterbox` keeps the shape and pads; as --init has it, or stretch, if not given."""
    interpolation: Interpolation | None = None
    """How pictures are resized to the input; as --init has it, or bilinear, if not given."""
    augment: Preset = "standard"
    """How much the training pictures are varied; the settings of Augmentation change single pieces."""
    workers: int = 2
    """Processes that load pictures; 0 loads in the training process."""
    sample: Literal["uniform", "rare"] = "uniform"
    """Every picture once an epoch, or as many drawn so that rare classes are seen more often."""
    rare_temperature: float = 0.01
    """The lower, the more `rare` and --copy-paste keep to the rarest classes; high values make all classes equal."""

    def __post_init__(self) -> None:
        _at_least("workers", self.workers, 0)
        _between("rare-temperature", self.rare_temperature, 0.0001, 1000)


@Parameter(name="*", group=Group("Model", sort_key=2))
@dataclass(frozen=True)
class ModelConfig:
    """What learns."""

    model: str | None = None
    """Architecture, of classes or of objects, see `edgeseg models`; fast_scnn if not given, or that of --init."""
    weights: str = "none"
    """Where the backbone starts: `none` (random), `imagenet` (torchvision's), or any .safetensors, .pt or .pth file."""
    init: Path | None = None
    """Run or checkpoint whose weights, and pruned widths, the whole network starts from."""
    qat: bool = False
    """Quantisation-aware training: learn with the rounding of int8 in place. Needs --init."""

    def __post_init__(self) -> None:
        if self.qat and self.init is None:
            raise ConfigError("--qat starts from a trained network; name its run with --init")
        if self.init is not None and self.weights != "none":
            raise ConfigError("--init already gives every weight; leave --weights away")
        if self.weights not in ("none", "imagenet") and not self.weights.endswith(WEIGHT_FILES):
            kinds = ", ".join(WEIGHT_FILES)
            raise ConfigError(f"--weights takes none, imagenet or a file ({kinds}), got {self.weights!r}")


LOSSES = ("ce", "focal", "ohem", "dice", "lovasz", "boundary")


def loss_terms(text: str) -> tuple[tuple[float, str], ...]:
    """Return the (weight, loss) pairs of a sum such as `ce+0.5*dice`. Raises ConfigError."""
    terms = []
    for term in text.replace(" ", "").split("+"):
        factor, star, name = term.rpartition("*")
        try:
            weight = float(factor) if star else 1.0
        except ValueError:
            weight = -1.0
        if name not in LOSSES or not 0 < weight < inf:
            raise ConfigError(f"--loss is one of {', '.join(LOSSES)} or a sum such as ce+0.5*dice, got {text!r}")
        terms.append((weight, name))
    if len({name for _, name in terms}) < len(terms):
        raise ConfigError(f"--loss names one of its terms twice: {text!r}")
    return tuple(terms)


@Parameter(name="*", group=Group("Loss", sort_key=4))
@dataclass(frozen=True)
class LossConfig:
    """What is minimised."""

    loss: str = "ce+dice"
    """`ce` (cross-entropy), `focal`, `ohem` (hardest), `dice`, `lovasz` (IoU), `boundary`; or a sum of some of them."""
    class_weights: Literal["none", "median", "log"] = "none"
    """Weigh rare classes up in ce, focal and ohem: by median frequency, or by 1 / ln(1.02 + frequency)."""
    label_smoothing: float = 0.0
    """Share of the truth that `ce` spreads over all classes."""
    focal_gamma: float = 2.0
    """How much less `focal` counts a pixel the surer it is: times (1 - probability) to this power."""
    ohem_threshold: float = 0.7
    """`ohem` drops pixels whose true class already has at least this probability."""
    ohem_keep: float = 0.0625
    """`ohem` keeps at least this share of the pixels."""
    aux_weight: float = 0.4
    """How much each auxiliary head counts, if there are some (deep supervision); 0 leaves them away, as --qat does."""

    def __post_init__(self) -> None:
        loss_terms(self.loss)
        _between("label-smoothing", self.label_smoothing, 0, 0.999999)
        _between("focal-gamma", self.focal_gamma, 0, 100)
        _between("ohem-threshold", self.ohem_threshold, 0, 1)
        _between("ohem-keep", self.ohem_keep, 0, 1)
        if not 0 <= self.aux_weight < inf:
            raise ConfigError(f"--aux-weight must be at least 0, got {self.aux_weight}")


@Parameter(name="*", group=Group("Distillation", sort_key=5))
@dataclass(frozen=True)
class DistillationConfig:
    """What is learnt from another network's answers."""

    teacher: Path | None = None
    """Run or checkpoint of a network with the same classes whose answers are imitated."""
    distill: Literal["logits", "channel", "features"] = "channel"
    """What is imitated: pixels' class probabilities, classes' maps (CWD), or those maps and inner features."""
    temperature: float | None = None
    """Softens both networks' answers before they are compared; 3 if not given, 1 for `logits`."""
    distill_weight: float = 1.0
    """How much imitation counts beside the loss against the labels."""

    def __post_init__(self) -> None:
        softened = self.temperature is None or 0 < self.temperature < inf
        if not (softened and 0 <= self.distill_weight < inf):
            raise ConfigError("--temperature must be above 0, --distill-weight at least 0")


@Parameter(name="*", group=Group("Optimisation", sort_key=3))
@dataclass(frozen=True)
class OptimConfig:
    """How it is minimised."""

    epochs: int | None = None
    """Passes over the training pictures; 60 if not given, 6 with --qat."""
    batch: int = 8
    """Pictures a step, on each device."""
    accumulate: int = 1
    """Batches whose gradients are averaged before the weights change."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """AdamW, Adam, or SGD with momentum .9."""
    lr: float | None = None
    """Highest learning rate; 0.002 if not given, 0.0005 for Mask R-CNN, 0.00002 with --qat."""
    trunk_lr: float = 1.0
    """Learning rate of the backbone or encoder, as a share of the rest's; 0.1 is usual with --weights imagenet."""
    weight_decay: float = 0.01
    """Pulls convolution weights (not biases or normalisation) towards zero."""
    schedule: Literal["poly", "cosine", "onecycle"] = "poly"
    """How the learning rate falls after the warm-up; `poly` has the power .9, `onecycle` also rises along a cosine."""
    warmup: float | None = None
    """Share of all steps in which the learning rate rises from nearly nothing; .03 if not given, .3 for `onecycle`."""
    clip: float = 5.0
    """Largest gradient norm; 0 leaves gradients alone."""
    ema: float = 0.995
    """Decay of the moving average of the weights, which is what is scored and saved; 0 uses the weights themselves."""
    patience: int = 0
    """Stop after this many epochs without a better val mIoU, or mask AP of objects; 0 never stops early."""
    score_every: int = 1
    """Score the validation pictures and save after every so many epochs, and after the last."""

    def __post_init__(self) -> None:
        if self.epochs is not None:
            _at_least("epochs", self.epochs, 1)
        _at_least("batch", self.batch, 2)  # batch normalisation cannot learn from a batch of one
        _at_least("accumulate", self.accumulate, 1)
        _at_least("patience", self.patience, 0)
        _at_least("score-every", self.score_every, 1)
        _between("trunk-lr", self.trunk_lr, 0, 1)
        if self.warmup is not None:
            _between("warmup", self.warmup, 0, 1)
        _between("ema", self.ema, 0, 0.999999)
        if self.lr is not None and not 0 < self.lr < inf:
            raise ConfigError(f"--lr must be above 0, got {self.lr}")
        if not (0 <= self.weight_decay < inf and 0 <= self.clip < inf):
            raise ConfigError("--weight-decay and --clip must be at least 0")


@Parameter(name="*", group=Group("Machine", sort_key=6))
@dataclass(frozen=True)
class MachineConfig:
    """Where it runs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Processor; `auto` takes CUDA where there is a card."""
    devices: int = 1
    """How many of them, one process each."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Arithmetic of the training steps; `auto` takes bf16 where the processor has it. Scoring is in float32."""
    seed: int = 0
    """Fixes the starting weights, the order of the pictures and how they are varied."""
    sync_bn: Literal["auto", "off"] = "auto"
    """Whether batch normalisation averages over all processes' pictures: `auto` does where several train on CUDA."""

    def __post_init__(self) -> None:
        _at_least("devices", self.devices, 1)
        _between("seed", self.seed, 0, (1 << 32) - 1)


@Parameter(name="*")
@dataclass(frozen=True)
class TrainConfig:
    """Everything a run depends on."""

    data: DataConfig
    out: Path
    """Folder of the run: checkpoints, curves, logs."""
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        recipe(self.data.augment, self.augmentation)  # says what does not go together before anything is read


def flatten(config: Any) -> dict[str, Any]:
    """Return a config's settings as one flat mapping of flag names to plain values; what was not given is left out."""
    flat: dict[str, Any] = {}
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            flat.update(flatten(value))
        elif value is not None:
            flat[item.name] = (
                str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
            )
    return flat


def unflatten(kind: type[T], flat: Mapping[str, Any]) -> T:
    """Return the config that `flatten` made `flat` of; settings that are not in it have their defaults."""
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for item in fields(cast(Any, kind)):
        hint, value = hints[item.name], flat.get(item.name)
        if is_dataclass(hint):
            values[item.name] = unflatten(cast(Any, hint), flat)
        elif value is not None:
            is_path = Path in (hint, *get_args(hint))
            values[item.name] = Path(value) if is_path else tuple(value) if isinstance(value, list) else value
    return kind(**values)


def save_config(config: Any, path: Path) -> None:
    """Write a config as YAML that `--config` reads back."""
    write_text(path, yaml.safe_dump(flatten(config), sort_keys=False, allow_unicode=True))


def load_config(path: Path) -> dict[str, Any]:
    """Read what `save_config` wrote, as a flat mapping. Raises ConfigError."""
    try:
        flat = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(flat, dict):
        raise ConfigError(f"{path} must hold settings, one `name: value` a line")
    return flat
