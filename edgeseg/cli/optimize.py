"""`edgeseg optimize`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, error_line, note, table
from edgeseg.optimize.space import PRECISIONS, Precision
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require


@Parameter(name="*", group="Budget")
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


Several = Parameter(consume_multiple=True)


@Parameter(name="*", group="What is tried")
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


@Parameter(name="*", group="How it is tried")
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
    """Passes over the training pictures of each training; as many as the run's own, or 12 for QAT, if not given."""
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
        if not 0 < self.seconds < inf:
            raise ConfigError(f"--seconds must be more than 0 and not endless, got {self.seconds:g}")


@Parameter(name="*")
@dataclass(frozen=True)
class OptimizeConfig:
    """What is searched for, and where."""

    budget: BudgetConfig
    grid: GridConfig = field(default_factory=GridConfig)
    effort: EffortConfig = field(default_factory=EffortConfig)
    out: Path | None = None
    """Folder for everything; the run's name with `-opt` if not given."""


def optimize(run: Path, /, *, config: OptimizeConfig, resume: bool = False, json: bool = False) -> int:
    """Find the model that meets a budget: resolution, pruning, precision, engine and threads.

    RUN is a run folder or a .safetensors checkpoint. Cheap trials come first:
    latencies of untrained shapes, then masks, then layers put back to float, and
    training only where it could still win. The choice is the highest mIoU within
    the budget, the faster one if equal, and has passed the parity gate. Smaller
    nets are taken to be no slower, and coarser ones no more accurate: what cannot
    win is not tried.

    `mixed` leaves the fewest layers in float with which int8 holds --max-drop, or,
    without that, loses 0.3 points at most against float32 of the same size and
    weights. It is built where int8 (which is tried, too) is in time and loses more.

    Leaves in --out: chosen/ (the file, choice.json with the reason, report.html),
    trials.csv, optimize.json, pareto.png, the runs that were trained, and
    trials.jsonl, from which --resume goes on, with another budget or grid too. If
    nothing meets the budget the exit code is 1, the nearest trial is named, and
    there is no chosen/.

    With --target, latencies here are multiplied by the ratio of the profile's to
    this machine's, for each kind of file (precision, engine, threads), unpruned at
    full size. That is an estimate: measure on the other machine before relying on
    it.

    For example:

      edgeseg optimize runs/camvid --latency 12ms --max-drop 0.5
      edgeseg optimize runs/camvid --latency 12ms --max-drop 0.5 --resume
      edgeseg optimize runs/camvid --latency 4ms --prune 0 --precisions bf16 mixed --threads 1 2
      edgeseg optimize runs/camvid --latency 30ms --target raspberry/bench.json

    Parameters
    ----------
    resume
        Go on with the search in --out; what was measured is not measured again. The budget and the grid may change.
    json
        Print the result as JSON.
    """
    for package in ("torch", "torchvision", "lightning", "tensorboard", "safetensors", "matplotlib", "torch_pruning"):
        require(package, "train")
    for package in ("onnx", "onnxscript", "onnxsim", "openvino", "nncf"):
        require(package, "export")
    from edgeseg.cli.optimize_parts import assemble
    from edgeseg.optimize.run import run_search
    from edgeseg.optimize.table import HEADERS, cells

    parts = assemble(run, config, resume)
    result = run_search(parts, " ".join(["edgeseg", *sys.argv[1:]]), note)
    if json:
        answer_json(result.document)
    else:
        rows = [cells(row) for row in result.table]
        table(f"Trials ({parts.latency_label})", list(HEADERS), rows, sentences=True)
        if result.met:
            print(result.text)
    if not result.met:
        error_line(f"nothing that was tried meets the budget; {result.text}")
    return 0 if result.met else 1
