"""`edgeseg parity`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note
from edgeseg_export.instances.parity.limits import InstanceOverrides
from edgeseg_export.parity.comparison import Settings
from edgeseg_export.parity.thresholds import Overrides
from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    from edgeseg_export.parity.entry import Entry
    from edgeseg_export.parity.gate import Gate
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.segmenter import Segmenter


@Parameter(name="*")
@dataclass(frozen=True)
class ParityConfig:
    """What is compared on what."""

    data: str | None = None
    """Labelled pictures; those the run was scored on if not given."""
    split: str | None = None
    """Split of them; the run's own validation split if not given."""
    engine: Literal["onnxruntime", "openvino"] | None = None
    """Inference engine; the one at home in each file's format if not given."""
    size: tuple[int, int] | None = None
    """Height and width that the original is run at; what it was trained at if not given."""
    report: Path | None = None
    """HTML file to write: every number, and the pictures that agree least."""
    gate: Annotated[Overrides, Parameter(name="*", group="Gate of semantic models")] = field(default_factory=Overrides)
    objects: Annotated[InstanceOverrides, Parameter(name="*", group="Gate of instance models")] = field(
        default_factory=InstanceOverrides
    )
    measure: Annotated[Settings, Parameter(name="*", group="Measurement")] = field(default_factory=Settings)


def parity(
    original: Path, models: tuple[Path, ...], /, *, config: ParityConfig | None = None, json: bool = False
) -> None:
    """Compare the masks, or objects, of exported files with the original's.

    ORIGINAL is a run folder or a .safetensors checkpoint; MODELS are .onnx or .xml
    files, or the folders that hold them. Each goes its whole way from the same
    frames to masks or objects. The exit code is 1 if one of them gives others than
    its precision excuses.

    For example:

      edgeseg parity runs/camvid runs/camvid/export/openvino-int8
      edgeseg parity runs/camvid model.onnx --data camvid --max-miou-drop 0.5
      edgeseg parity runs/camvid a.onnx b.xml --report parity.html
      edgeseg parity runs/people runs/people/export/openvino-int8 --max-ap-drop 0.5

    Parameters
    ----------
    json
        Print every number as JSON.
    """
    for package in ("torch", "torchvision", "safetensors"):
        require(package, "train")
    for package in ("onnx", "onnxsim", "pycocotools"):
        require(package, "export")
    from edgeseg.cli.gates import Bounds, Where, gate_of
    from edgeseg.cli.parity_tables import show
    from edgeseg.training.checkpoint import checkpoint_file, load_deployable
    from edgeseg_runtime.segmenter import Segmenter

    config = config or ParityConfig()
    file = checkpoint_file(original)
    size = {"height": config.size[0], "width": config.size[1]} if config.size else {}
    module, checkpoint = load_deployable(file, **size)
    # loaded before any picture is looked at, so that a wrong name costs no minute
    segmenters = [Segmenter.load(model, engine=config.engine) for model in models]
    bounds = Bounds(config.gate, config.objects, config.measure)
    gate = gate_of(module, checkpoint, Where(config.data, config.split), bounds)()
    entries = [_examine(segmenter, gate, module.contract) for segmenter in segmenters]
    if config.report is not None:
        _write_report(config.report, file, gate, entries)
    if json:
        answer_json({entry.name: entry.document() for entry in entries})
    else:
        show(entries, str(original))
    _enforce(entries, gate.refusal)


def _examine(segmenter: Segmenter, gate: Gate, original: Contract) -> Entry[Any]:
    name = str(segmenter.path)
    theirs, ours = segmenter.contract.size, original.size
    if theirs != ours:
        note(
            f"{name} takes {theirs[0]}×{theirs[1]} pixels, the original is run at {ours[0]}×{ours[1]}; "
            f"--size {theirs[0]} {theirs[1]} runs it alike"
        )
    return gate.examine(name, segmenter)


def _write_report(path: Path, checkpoint: Path, gate: Gate, entries: list[Entry[Any]]) -> None:
    from edgeseg_export.artifacts import package_versions
    from edgeseg_runtime.files import sha256

    facts = {
        "checkpoint": str(checkpoint),
        "checkpoint sha256": sha256(checkpoint),
        "command": " ".join(["edgeseg", *sys.argv[1:]]),
        **package_versions(),
    }
    gate.write_report(path, str(checkpoint), entries, facts)
    note(f"{path} shows what differs")


def _enforce(entries: list[Entry[Any]], refusal: str) -> None:
    """Raise GateFailed naming every file that did not pass, and its numbers."""
    from edgeseg_runtime.errors import GateFailed

    failed = [entry for entry in entries if not entry.verdict.passed]
    if failed:
        lines = (f"\n  {entry.name}: " + "; ".join(entry.verdict.failure_lines()) for entry in failed)
        raise GateFailed(f"{len(failed)} of {len(entries)} files {refusal}" + "".join(lines))
