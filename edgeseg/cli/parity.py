"""`edgeseg parity`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress, table
from edgeseg_export.parity.comparison import Settings
from edgeseg_export.parity.thresholds import DEFAULTS, Overrides
from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    from edgeseg_export.parity.compare import Reference
    from edgeseg_export.parity.report import Entry
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
    gate: Annotated[Overrides, Parameter(name="*", group="Gate")] = field(default_factory=Overrides)
    measure: Annotated[Settings, Parameter(name="*", group="Measurement")] = field(default_factory=Settings)


def parity(
    original: Path, models: tuple[Path, ...], /, *, config: ParityConfig | None = None, json: bool = False
) -> None:
    """Compare the masks of exported files with the original's.

    ORIGINAL is a run folder or a .safetensors checkpoint; MODELS are .onnx or .xml
    files, or the folders that hold them. Each goes its whole way from the same
    frames to masks. The exit code is 1 if one of them draws other masks than its
    precision excuses.

    For example:

      edgeseg parity runs/camvid runs/camvid/export/openvino-int8
      edgeseg parity runs/camvid model.onnx --data camvid --max-miou-drop 0.5
      edgeseg parity runs/camvid a.onnx b.xml --report parity.html

    Parameters
    ----------
    json
        Print every number as JSON.
    """
    for package in ("torch", "torchvision", "safetensors"):
        require(package, "train")
    for package in ("onnx", "onnxsim"):
        require(package, "export")
    from edgeseg.cli.pictures import labelled_pictures, run_data
    from edgeseg.training.checkpoint import checkpoint_file, load_deployable
    from edgeseg_export.deployable import TorchSegmenter
    from edgeseg_export.parity.compare import Reference
    from edgeseg_runtime.segmenter import Segmenter

    config = config or ParityConfig()
    file = checkpoint_file(original)
    size = {"height": config.size[0], "width": config.size[1]} if config.size else {}
    module, checkpoint = load_deployable(file, **size)
    # loaded before any picture is looked at, so that a wrong name costs no minute
    segmenters = [Segmenter.load(model, engine=config.engine) for model in models]
    data = run_data(checkpoint, config.data, config.split, "val_split", progress)
    pictures = labelled_pictures(data, module.contract.names)
    reference = Reference.of(TorchSegmenter(module), pictures, module.contract, config.measure, progress=progress)
    entries = [_examine(segmenter, reference, config) for segmenter in segmenters]
    if config.report is not None:
        _write_report(config.report, file, reference, entries)
    if json:
        answer_json({entry.name: _document(entry) for entry in entries})
    else:
        _print(entries, len(reference.names), str(original))
    _enforce(entries)


def _examine(segmenter: Segmenter, reference: Reference, config: ParityConfig) -> Entry:
    from edgeseg_export.parity.compare import compare
    from edgeseg_export.parity.deployed import deployed_path
    from edgeseg_export.parity.report import Entry
    from edgeseg_export.parity.verdict import judge

    name = str(segmenter.path)
    theirs, ours = segmenter.contract.size, reference.contract.size
    if theirs != ours:
        note(
            f"{name} takes {theirs[0]}×{theirs[1]} pixels, the original is run at {ours[0]}×{ours[1]}; "
            f"--size {theirs[0]} {theirs[1]} runs it alike"
        )
    path = deployed_path(segmenter, reference.contract)
    comparison = compare(reference, path, label=f"{name}'s masks", progress=progress)
    return Entry(name, comparison, judge(comparison, DEFAULTS[segmenter.precision].override(config.gate)))


def _write_report(path: Path, checkpoint: Path, reference: Reference, entries: list[Entry]) -> None:
    from edgeseg_export.artifacts import package_versions
    from edgeseg_export.parity.report import write_report
    from edgeseg_runtime.files import sha256

    facts = {
        "checkpoint": str(checkpoint),
        "checkpoint sha256": sha256(checkpoint),
        "command": " ".join(["edgeseg", *sys.argv[1:]]),
        **package_versions(),
    }
    write_report(path, str(checkpoint), reference, entries, facts)
    note(f"{path} shows the masks")


def _document(entry: Entry) -> dict[str, object]:
    return {"verdict": entry.verdict.as_dict(), **entry.comparison.as_dict()}


def _print(entries: list[Entry], pictures: int, original: str) -> None:
    """Print a table of the means, then what was warned of and what was not judged."""
    from edgeseg_export.parity.cells import points

    headers = ["file", "verdict", "same pixels", "worst picture", "near edges", "mIoU", "drop, points", "95 %"]
    rows = []
    for entry in entries:
        comparison, pair = entry.comparison, entry.comparison.accuracy
        row = [entry.name, entry.verdict.level]
        shares = (comparison.mean_agreement, float(comparison.agreement.min()), comparison.edge_agreement)
        row += [f"{100 * share:.3f}" for share in shares]
        if pair is None:
            rows.append([*row, "–", "–", "–"])
            continue
        bounds = pair.miou_drop_interval()
        within = "–" if bounds is None else f"{points(bounds[0])} to {points(bounds[1])}"
        rows.append([*row, f"{100 * pair.mean_iou[1]:.2f}", points(pair.miou_drop), within])
    table(f"beside {original} on {pictures} pictures, %", headers, rows)
    for entry in entries:
        for remark in (*(f"warning: {finding}" for finding in entry.verdict.warnings), *entry.verdict.notes):
            note(f"{entry.name}: {remark}")


def _enforce(entries: list[Entry]) -> None:
    """Raise GateFailed naming every file that did not pass, and its numbers."""
    from edgeseg_runtime.errors import GateFailed

    failed = [entry for entry in entries if not entry.verdict.passed]
    if failed:
        lines = (f"\n  {entry.name}: " + "; ".join(entry.verdict.failure_lines()) for entry in failed)
        raise GateFailed(f"{len(failed)} of {len(entries)} files do not draw the original's masks" + "".join(lines))
