"""`edgeseg sensitivity`."""

from __future__ import annotations

import json as json_module
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress
from edgeseg.cli.flag_checks import check_seconds
from edgeseg.cli.sensitivity_table import WORDINGS, show
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError, ContractError
from edgeseg_runtime.extras import require
from edgeseg_runtime.files import sha256, write_json

if TYPE_CHECKING:
    from edgeseg.data.base import Indexed, Pictured
    from edgeseg.training.checkpoint import Checkpoint
    from edgeseg_bench.int8_gain import KindGain
    from edgeseg_export.deployable import FrameModule
    from edgeseg_runtime.preprocess import Image

REPORT, PLOT = "sensitivity.json", "sensitivity.png"
FILES = ("onnx-float32/model.onnx", "onnx-int8/model.onnx", "openvino-float32/model.xml", "openvino-int8/model.xml")
PROFILED = 16
"""Frames behind the operators' times."""


@Parameter(name="*")
@dataclass(frozen=True)
class SensitivityConfig:
    """What is measured on what."""

    count: int = 32
    """Pictures that masks or objects are compared on, drawn by --seed."""
    out: Path | None = None
    """Folder for the plot and the JSON files; `sensitivity` inside the run if not given."""
    top: int = 20
    """Layers in the table; the JSON file holds all."""
    data: str | None = None
    """Pictures to compare on; those the run was scored on if not given."""
    split: str | None = None
    """Split of them; the run's own validation split if not given."""
    calibration: str | None = None
    """Pictures to calibrate int8 on where the run was not exported with --int8; its training pictures if not given."""
    calibration_count: int = 128
    """How many of them; at least 64."""
    seed: int = 0
    """Chooses the pictures."""
    threads: int = 1
    """Processor threads while speed is measured."""
    seconds: float = 1.0
    """Time spent on each file while speed is measured."""

    def __post_init__(self) -> None:
        for flag in ("count", "top", "threads"):
            if getattr(self, flag) < 1:
                raise ConfigError(f"--{flag} must be 1 or more, got {getattr(self, flag)}")
        check_seconds(self.seconds)


def sensitivity(run: Path, /, *, config: SensitivityConfig | None = None, json: bool = False) -> None:
    """Show what int8 costs and gains, layer by layer.

    RUN is a run folder or a .safetensors checkpoint. Costs: how many pixels change
    their class, or objects their place, class or outline, when one layer alone is
    int8. Gains: the time of each kind of operator in float and in int8, from each
    engine's own profile, and which file to run on this machine. Uses the files of
    `edgeseg export --int8` where they are there and of this checkpoint, and makes
    its own where they are not.

    For example:

      edgeseg sensitivity runs/camvid
      edgeseg sensitivity runs/camvid --count 16 --top 40 --threads 2
      edgeseg sensitivity runs/people

    Parameters
    ----------
    json
        Print everything as JSON.
    """
    for package in ("torch", "onnx", "onnxscript", "onnxsim", "openvino", "nncf", "safetensors", "pycocotools"):
        require(package, "export")
    require("matplotlib", "plot")
    from edgeseg.cli.pictures import run_data, run_objects
    from edgeseg.cli.sensitivity_plot import draw
    from edgeseg.training.checkpoint import checkpoint_file, load_deployable
    from edgeseg_export.calibration import choose
    from edgeseg_export.place import SENSITIVITY
    from edgeseg_export.sensitivity import cached_sensitivity

    config = config or SensitivityConfig()
    file = checkpoint_file(run)
    module, checkpoint = load_deployable(file)
    if checkpoint.quantized:
        raise ConfigError(f"{run} was trained with its int8 rounding in place; name the run it started from")
    task = module.contract.task
    opened = run_objects if task == "instance" else run_data
    data: Indexed[Pictured] = opened(checkpoint, config.data, config.split, "val_split", progress)
    frames = [data.read(index).image for index in choose(config.count, len(data), config.seed)]
    out = config.out or file.parent / SENSITIVITY
    with exported(file, module, checkpoint, config) as folder:
        found, _ = cached_sensitivity(out, folder / FILES[0], folder / FILES[1], frames, progress)
        gains, times, advice = speed(folder, frames, config)
    document = {
        **found.as_dict(),
        "operators_ms": {engine: [asdict(row) for row in rows] for engine, rows in gains.items()},
        "p50_ms": {f"{engine} {precision}": value for (engine, precision), value in times.items()},
        "threads": config.threads,
        "advice": advice,
    }
    write_json(out / REPORT, document)
    said = WORDINGS[task]
    draw(found, out / PLOT, f"{checkpoint.model}: {said.what}, one layer in int8 at a time", said.unit)
    if json:
        answer_json(document)
    else:
        show(found, gains, config.top, said)
        if not any(row.disagreement for row in found.rows):
            note(f"nothing changes on these {found.pictures} pictures; the layers are in the order of the scores' SQNR")
        for line in advice:
            note(line)
    note(f"{out}: {PLOT} shows the layers, {REPORT} holds every number")


@contextmanager
def exported(
    checkpoint_path: Path, module: FrameModule, checkpoint: Checkpoint, config: SensitivityConfig
) -> Iterator[Path]:
    """Yield a folder with FILES in it: the run's export if it is of this checkpoint and all int8, else a new one."""
    from edgeseg.cli.pictures import calibration_set
    from edgeseg_export.artifacts import Wanted, build_artifacts

    folder = checkpoint_path.parent / "export"
    if usable(folder, checkpoint_path, checkpoint.contract):
        note(f"the files are those of {folder}")
        yield folder
        return
    calibration = calibration_set(
        checkpoint, config.calibration, config.calibration_count, config.seed, progress=progress
    )
    note(f"int8 is calibrated on {len(calibration.names)} pictures of {calibration.source}, seed {config.seed}")
    with tempfile.TemporaryDirectory() as temporary:
        for artifact in build_artifacts(module, Path(temporary), Wanted(calibration, bf16=has_bf16()), progress):
            for remark in artifact.remarks:
                note(f"{artifact.name}: {remark}")
        yield Path(temporary)


def usable(folder: Path, checkpoint: Path, contract: Contract) -> bool:
    """Whether an export holds FILES as they were made of this checkpoint by its own contract, every layer in int8."""
    manifest = folder / "manifest.json"
    if not manifest.is_file() or not all((folder / name).is_file() for name in FILES):
        return False
    try:
        written = json_module.loads(manifest.read_text(encoding="utf-8"))
        mixed = [item for item in written["artifacts"] if item.get("mixed", {}).get("float_layers")]
        recipes = [item for item in written["artifacts"] if "recipe" in item]
        sums = {name: entry["sha256"] for item in written["artifacts"] for name, entry in item["files"].items()}
        folders = {Path(name).parent for name in FILES}
        whole = all(sha256(folder / name) == sums[name] for name in sums if Path(name).parent in folders)
        unchanged = whole and written["facts"]["checkpoint sha256"] == sha256(checkpoint)
        own = Contract.from_json(written["contract"]) == contract
        return bool(recipes) and not mixed and unchanged and own
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ContractError):  # somebody else's, or damaged
        return False


def has_bf16() -> bool:
    """Whether this processor computes in bf16."""
    from edgeseg_runtime.engines import ENGINES

    return "bf16" in ENGINES["openvino"].capabilities().precisions


def speed(
    folder: Path, frames: list[Image], config: SensitivityConfig
) -> tuple[dict[str, list[KindGain]], dict[tuple[str, str], float], list[str]]:
    """Return operators' times by engine, frames' times by engine and precision, and what to make of them."""
    from statistics import median

    from edgeseg_bench.int8_gain import compare, recommend
    from edgeseg_bench.kernels import profile
    from edgeseg_bench.measure import take_turns
    from edgeseg_bench.subjects import discover, load, plan
    from edgeseg_runtime.preprocess import to_input
    from edgeseg_runtime.segmenter import Segmenter

    homes = ("onnxruntime", "openvino")
    files = [file for file in discover(folder) if file.parent.name.startswith(("onnx-", "openvino-"))]
    cases = [case for file in files for case in plan([file], [config.threads])[:1]]  # each in the engine it is made for
    subjects = [load(case) for case in cases]
    laps = take_turns(subjects, frames, config.seconds, progress)
    times = {
        (case.engine, case.precision): round(1e3 * median(lap.whole), 4) for case, lap in zip(cases, laps, strict=True)
    }
    contract = Segmenter.load(folder / FILES[0]).contract
    inputs = [to_input(frame, contract)[None] for frame in frames[:PROFILED]]
    gains = {}
    for engine, pair in zip(homes, (FILES[:2], FILES[2:]), strict=True):
        rows = [
            profile(folder / name, engine, inputs, config.threads, precision)
            for name, precision in zip(pair, ("float32", "int8"), strict=True)
        ]
        gains[engine] = compare(*rows)
    return gains, times, recommend(times, gains)
