"""The flags of `edgeseg optimize`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from edgeseg.cli.flag_checks import check_seconds
from edgeseg.optimize.space import PRECISIONS, Precision
from edgeseg_runtime.errors import ConfigError

Several = Parameter(consume_multiple=True)


@Parameter(name="*", group=Group("Budget", sort_key=1))
@dataclass(frozen=True)
class BudgetConfig:
    """What has to be met."""

    latency: str
    """Longest median time from picture to mask, with its unit: 12ms, 0.012s."""
    max_drop: float | None = None
    """Most points of mIoU that may be lost against the float original at full size; as few as can be if not given."""
    min_gain: Annotated[float | None, Parameter(show_default=False)] = None
    """Points of mIoU that a training or mixed files must be able to gain; --max-drop, or 0.5, if not given."""
    budget_minutes: float | None = None
    """Start nothing new after so many minutes; --resume goes on later."""
    target: Path | None = None
    """bench.json of this model on another machine: latencies are then ESTIMATES for it, by ratios of like files."""

    def __post_init__(self) -> None:
        if self.budget_minutes is not None and not self.budget_minutes > 0:
            raise ConfigError(f"--budget-minutes must be more than 0, got {self.budget_minutes:g}")


@Parameter(name="*", group=Group("What is tried", sort_key=2))
@dataclass(frozen=True)
class GridConfig:
    """The settings that are combined."""

    resolutions: Annotated[tuple[float, ...], Several] = (1.0, 0.75, 0.5)
    """Input sizes, as shares of the one it was trained at."""
    prune: Annotated[tuple[float, ...], Several] = (0.0, 0.3, 0.5)
    """Shares of the channels to remove; each above 0 is a fine-tuning, if it comes to that."""
    precisions: Annotated[tuple[Precision, ...], Several] = PRECISIONS
    """Arithmetic; `mixed` is int8 with some layers left in float, `qat` int8 after quantisation-aware training."""
    engines: Annotated[tuple[Literal["openvino", "onnxruntime"], ...], Several] = ("openvino", "onnxruntime")
    """Engines."""
    threads: Annotated[tuple[int, ...], Parameter(consume_multiple=True, show_default=False)] = ()
    """Numbers of processor threads; one, and every core, if not given."""


@Parameter(name="*", group=Group("How it is tried", sort_key=3))
@dataclass(frozen=True)
class EffortConfig:
    """How much is looked at and trained."""

    data: str | None = None
    """Labelled pictures to score on, and to train on; the run's own if not given."""
    split: str | None = None
    """Split that is scored; the run's own validation split if not given."""
    pictures: int | None = None
    """Score only so many of them, spread evenly; all if not given."""
    quick_pictures: int = 24
    """How many of those are looked at first, to drop what is hopeless."""
    calibration: str | None = None
    """Pictures to calibrate int8 on: a data set, or a folder of pictures. The run's training pictures if not given."""
    calibration_count: int = 128
    """How many of them, drawn by --seed; at least 64."""
    seed: int = 0
    """Chooses the calibration pictures."""
    epochs: int | None = None
    """Passes over the training pictures of each training; as many as the run's own, or 6 for QAT, if not given."""
    seconds: float = 1.0
    """Of measuring, for each latency."""

    def __post_init__(self) -> None:
        for flag, value, least in (
            ("pictures", self.pictures, 1),
            ("quick-pictures", self.quick_pictures, 1),
            ("epochs", self.epochs, 1),
        ):
            if value is not None and value < least:
                raise ConfigError(f"--{flag} must be at least {least}, got {value}")
        check_seconds(self.seconds)


@Parameter(name="*")
@dataclass(frozen=True)
class OptimizeConfig:
    """What is searched for, and where."""

    budget: BudgetConfig
    grid: GridConfig = field(default_factory=GridConfig)
    effort: EffortConfig = field(default_factory=EffortConfig)
    out: Path | None = None
    """Folder for everything; the run's name with `-opt` if not given."""
