"""The flags of `edgeseg prune`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from edgeseg.cli.flag_checks import check_cores
from edgeseg_runtime.errors import ConfigError


@Parameter(name="*", group=Group("Target", sort_key=1))
@dataclass(frozen=True)
class TargetConfig:
    """How much is taken out; one of them."""

    ratio: float | None = None
    """Share of the channels to remove."""
    macs: float | None = None
    """Share of the multiply-accumulates that may be left."""
    latency: str | None = None
    """Longest time from frame to mask (of objects: to an empty one), such as 5ms, of float32 exports measured here."""
    engine: Literal["openvino", "onnxruntime"] = "openvino"
    """Engine that --latency is measured in."""
    threads: Annotated[int | None, Parameter(show_default=False)] = None
    """Processor threads that --latency is measured with; every core if not given."""

    def __post_init__(self) -> None:
        for flag, value in (("ratio", self.ratio), ("macs", self.macs)):
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"--{flag} must lie between 0 and 1, got {value}")
        if self.threads is None:
            return
        check_cores([self.threads])
        if self.latency is None:
            raise ConfigError("--threads is what --latency is measured with; give one, or leave --threads away")


@Parameter(name="*", group=Group("Channels", sort_key=3))
@dataclass(frozen=True)
class ChannelsConfig:
    """Which channels go."""

    criterion: Literal["taylor", "l1", "bn", "fpgm"] = "taylor"
    """What matters: the loss it saves, by gradients (`taylor`, gentlest), filter or BN size, or being unlike others."""
    scope: Literal["global", "layer"] = "global"
    """`global` ranks the channels of all layers together; `layer` takes the same share of each."""
    round_to: int = 8
    """Widths become multiples of this, which engines like, and none goes below it."""
    steps: int = 1
    """Prune in so many parts, fine-tuning after each."""

    def __post_init__(self) -> None:
        for flag, value in (("round-to", self.round_to), ("steps", self.steps)):
            if value < 1:
                raise ConfigError(f"--{flag} must be at least 1, got {value}")


@Parameter(name="*", group=Group("Fine-tuning", sort_key=2))
@dataclass(frozen=True)
class FinetuneConfig:
    """How the pruned network learns again; else as in its own run, but a spared trunk as fast as the rest."""

    epochs: int | None = None
    """Passes over the training pictures, of all steps together; as many as the run's own if not given."""
    lr: float | None = None
    """Highest learning rate; half of the run's own if not given."""
    teacher: Path | None = None
    """Run or checkpoint that is imitated; the unpruned network itself if not given. Models of objects have none."""
    no_teacher: bool = False
    """Learn from the labels alone."""
    no_finetune: bool = False
    """Only prune: write start.safetensors and stop."""
    data: str | None = None
    """Data set; the one the run was trained on if not given."""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """Processor; the run's own setting if not given."""
    workers: int | None = None
    """Processes that load pictures; as many as the run's own if not given."""

    def __post_init__(self) -> None:
        if self.teacher is not None and self.no_teacher:
            raise ConfigError("--teacher and --no-teacher contradict each other")


@Parameter(name="*")
@dataclass(frozen=True)
class PruneConfig:
    """What is taken out and what becomes of the rest."""

    out: Path
    """Folder of the new run."""
    target: TargetConfig = field(default_factory=TargetConfig)
    channels: ChannelsConfig = field(default_factory=ChannelsConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)

    def __post_init__(self) -> None:
        target = self.target
        if sum(value is not None for value in (target.ratio, target.macs, target.latency)) != 1:
            raise ConfigError("say how much to prune with one of --ratio, --macs and --latency")
