"""`edgeseg export`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress
from edgeseg_export.instances.parity.limits import InstanceOverrides
from edgeseg_export.parity.comparison import Settings
from edgeseg_export.parity.thresholds import Overrides
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    from edgeseg.training.checkpoint import Checkpoint


@Parameter(name="*")
@dataclass(frozen=True)
class ExportConfig:
    """What to write."""

    out: Path | None = None
    """Folder to write; `export` inside the run if not given."""
    int8: bool = False
    """Also write int8 files, their ranges measured on calibration pictures."""
    max_drop: float | None = None
    """With --int8: points of mIoU or AP (unlabelled: % of pixels or objects) it may cost, else layers go to float."""
    calibration: str | None = None
    """Pictures to calibrate int8 on: a data set, or a folder of pictures. The run's training pictures if not given."""
    calibration_count: int = 128
    """How many of them, drawn by --seed; at least 64."""
    seed: int = 0
    """Chooses the calibration pictures."""
    data: str | None = None
    """Data set whose masks are compared; the one the run was trained on if not given."""
    split: str | None = None
    """Split that is compared; the run's own validation split if not given."""
    output: Literal["scores", "mask"] | None = None
    """Of semantic models: `scores`, which the runtime decodes, fastest, the default; or a uint8 `mask`, for others."""
    size: tuple[int, int] | None = None
    """Height and width of the model's input; what it was trained at if not given."""
    dynamic_batch: bool = False
    """Leave the number of pictures open."""
    dynamic_size: bool = False
    """Leave height and width open; costs speed."""
    gate: Annotated[Overrides, Parameter(name="*", group="Gate of semantic models")] = field(default_factory=Overrides)
    objects: Annotated[InstanceOverrides, Parameter(name="*", group="Gate of instance models")] = field(
        default_factory=InstanceOverrides
    )

    def __post_init__(self) -> None:
        if self.max_drop is not None and not self.int8:
            raise ConfigError("--max-drop is about int8 files; give --int8 too")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise ConfigError(f"--max-drop must lie between 0 and 100, got {self.max_drop}")


def export(run: Path, /, *, config: ExportConfig | None = None, json: bool = False) -> None:
    """Write ONNX and OpenVINO files of a run and prove that their masks are the same.

    RUN is a run folder or a .safetensors checkpoint. Every file is read back and
    run from picture to mask, or objects, beside the PyTorch original. A file whose
    masks or objects differ too much is kept only under rejected/, and the exit code
    is 1.

    For example:

      edgeseg export runs/camvid --int8
      edgeseg export runs/camvid --int8 --max-drop 0.3
      edgeseg export runs/camvid --int8 --calibration pictures/ --max-miou-drop 0.5
      edgeseg export runs/people --int8 --max-ap-drop 0.5

    Parameters
    ----------
    json
        Print the verdicts as JSON.
    """
    for package in ("torch", "onnx", "onnxscript", "onnxsim", "openvino", "nncf", "safetensors", "pycocotools"):
        require(package, "export")
    from edgeseg.cli.gates import Bounds, Where, gate_of
    from edgeseg.cli.pictures import calibration_set
    from edgeseg.training.checkpoint import checkpoint_file, load_deployable, read_checkpoint
    from edgeseg_export.onnx_file import DynamicAxes
    from edgeseg_export.pipeline import Bound, ExportPlan, export_model, parity_document
    from edgeseg_export.place import SENSITIVITY, check_place
    from edgeseg_runtime.files import sha256

    config = config or ExportConfig()
    file = checkpoint_file(run)
    out = config.out or file.parent / "export"
    check_place(out)  # now, and not when all is built
    module, checkpoint = load_deployable(file, **_changes(config, read_checkpoint(file)))
    where, bounds = Where(config.data, config.split), Bounds(config.gate, config.objects, Settings())
    gate = gate_of(module, checkpoint, where, bounds)
    calibration = None
    if checkpoint.quantized:
        _nothing_to_calibrate(file, config)
    elif config.int8:
        calibration = calibration_set(
            checkpoint, config.calibration, config.calibration_count, config.seed, progress=progress
        )
        note(f"int8 is calibrated on {len(calibration.names)} pictures of {calibration.source}, seed {config.seed}")
    facts = {
        "checkpoint": file.name,
        "checkpoint sha256": sha256(file),
        "model": checkpoint.model,
        "command": " ".join(["edgeseg", *sys.argv[1:]]),
    }
    axes = DynamicAxes(config.dynamic_batch, config.dynamic_size)
    bound = None if config.max_drop is None else Bound(config.max_drop, file.parent / SENSITIVITY)
    plan = ExportPlan(gate, calibration, axes, bound)
    entries = export_model(module, out, plan, facts, progress=progress, report=note)
    note(f"{out}: {len(entries)} files, report.html shows what they draw")
    if json:
        answer_json({"out": str(out), "parity": parity_document(entries)})


def _changes(config: ExportConfig, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what is to be changed in the run's contract. Raises ConfigError for an output that its task has not."""
    changes: dict[str, Any] = {}
    if config.size:
        changes |= {"height": config.size[0], "width": config.size[1]}
    if checkpoint.contract.task == "semantic":
        changes["output"] = config.output or "scores"
    elif config.output is not None:
        raise ConfigError(
            f"--output is about classes of pixels; {checkpoint.model} tells objects apart, always as "
            f"{checkpoint.contract.output}"
        )
    return changes


def _nothing_to_calibrate(file: Path, config: ExportConfig) -> None:
    """Say that only int8 files come of a run that was trained for int8. Raises ConfigError for flags of calibration."""
    for flag, value in (("--calibration", config.calibration), ("--max-drop", config.max_drop)):
        if value is not None:
            raise ConfigError(f"{flag}: {file} was trained for int8 (--qat) and has its own ranges; leave it away")
    note("trained for int8: there are only int8 files, compared with the network as it was trained")
