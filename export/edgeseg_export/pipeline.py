"""Export from end to end: build every file, hold each against the original, keep what passed, write down the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg_export.artifacts import Artifact, Calibration, Wanted, build_artifacts, package_versions
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.onnx_file import DynamicAxes
from edgeseg_export.parity.compare import Reference, compare
from edgeseg_export.parity.deployed import deployed_path
from edgeseg_export.parity.pictures import Pictures
from edgeseg_export.parity.report import Entry, write_report
from edgeseg_export.parity.thresholds import DEFAULTS, Overrides
from edgeseg_export.parity.verdict import judge
from edgeseg_runtime.engines import ENGINES
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.files import atomic_path, write_json
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from edgeseg_export.mixed import MixedSearch

REJECTED, MANIFEST, PARITY, REPORT = "rejected", "manifest.json", "parity.json", "report.html"
SENSITIVITY = "sensitivity"
RANKED_ON = 16
"""Pictures that layers are ranked on."""


@dataclass(frozen=True)
class ExportPlan:
    """What to make, and of what to prove it."""

    pictures: Pictures
    """Real pictures, with truth where there is some, that every file's masks are compared on."""
    calibration: Calibration | None = None
    """None makes no int8 files."""
    dynamic: DynamicAxes = field(default_factory=DynamicAxes)
    overrides: Overrides = field(default_factory=Overrides)
    """Bounds that replace the precision's own."""
    max_drop: float | None = None
    """What int8 may lose: points of mIoU, or % of pixels without truth. Layers go back to float until it holds."""


def export_model(
    module: Deployable,
    out: Path,
    plan: ExportPlan,
    facts: Mapping[str, str],
    *,
    progress: Progress = silent,
    report: Callable[[str], None] = print,
) -> list[Entry]:
    """Write the folder `out`, whole, in place of one that was there, and return what was judged.

    `facts` (checkpoint, command, …) go into the report and the manifest as they are. Every file is compared through
    its own engine, read back from disk. Raises GateFailed when one differs too much: it is then only in `rejected/`.
    """
    reference = Reference.of(TorchSegmenter(module), plan.pictures, module.contract, progress=progress)
    bf16 = "bf16" in ENGINES["openvino"].capabilities().precisions
    if not bf16:
        report("openvino-bf16: left out, this processor does not compute in bf16 and it could not be compared")
    with atomic_path(out) as staging:
        staging.mkdir()
        entries, kept = [], []
        wanted = Wanted(plan.calibration, plan.dynamic, bf16, _search(plan, reference, out, progress))
        for artifact in build_artifacts(module, staging, wanted, progress):
            entry = examine(artifact, reference, plan.overrides, progress)
            for remark in artifact.remarks:
                report(f"{artifact.name}: {remark}")
            report(f"{artifact.name}: {entry.verdict.level}, agreement {entry.comparison.mean_agreement:.4%}")
            entries.append(entry)
            kept.append(artifact if entry.verdict.passed else reject(artifact, staging))
        manifest = {
            "facts": dict(facts),
            "packages": package_versions(),
            "contract": module.contract.to_json(),
            "calibration": plan.calibration.facts() if plan.calibration else None,
            "artifacts": [item.facts(staging) | {"passed": item.folder.parent == staging} for item in kept],
        }
        write_json(staging / MANIFEST, manifest)
        write_json(staging / PARITY, parity_document(entries))
        write_report(staging / REPORT, f"{out.parent.name}: mask parity", reference, entries, facts)
    raise_failures(entries, out / REJECTED)
    return entries


def _search(plan: ExportPlan, reference: Reference, out: Path, progress: Progress) -> MixedSearch | None:
    """Return the search for mixed files, its rankings kept in `sensitivity` beside `out`; None if no bound is set."""
    if plan.max_drop is None or plan.calibration is None:
        return None
    from edgeseg_export.mixed import MixedSearch
    from edgeseg_export.ptq import hold_back
    from edgeseg_export.sensitivity import cached_sensitivity

    # ranked on other pictures than the bound is measured on
    frames = hold_back(plan.calibration.pictures)[1][:RANKED_ON]

    def rank(float_file: Path, int8_file: Path) -> tuple[str, ...]:
        return cached_sensitivity(out.parent / SENSITIVITY, float_file, int8_file, frames, progress)[0].ranking

    return MixedSearch(reference, plan.max_drop, rank, progress)


def examine(artifact: Artifact, reference: Reference, overrides: Overrides, progress: Progress = silent) -> Entry:
    """Compare one artifact, read back from its file, with the original and judge it."""
    segmenter = Segmenter.load(artifact.file)
    path = deployed_path(segmenter, reference.contract)
    comparison = compare(reference, path, label=f"{artifact.name}'s masks", progress=progress)
    return Entry(artifact.name, comparison, judge(comparison, DEFAULTS[artifact.precision].override(overrides)))


def reject(artifact: Artifact, root: Path) -> Artifact:
    """Move an artifact to where no device would look for it."""
    target = root / REJECTED / artifact.name
    target.parent.mkdir(exist_ok=True)
    shutil.move(artifact.folder, target)
    return replace(artifact, file=target / artifact.file.name)


def parity_document(entries: list[Entry]) -> dict[str, Any]:
    """Return the contents of parity.json: verdict and numbers by artifact."""
    return {entry.name: {"verdict": entry.verdict.as_dict(), **entry.comparison.as_dict()} for entry in entries}


def raise_failures(entries: list[Entry], where: Path) -> None:
    """Raise GateFailed naming every artifact that did not pass and its numbers."""
    failed = [entry for entry in entries if not entry.verdict.passed]
    if failed:
        numbers = "\n  ".join(f"{entry.name}: " + "; ".join(entry.verdict.failure_lines()) for entry in failed)
        raise GateFailed(
            f"{len(failed)} of {len(entries)} files do not draw the original's masks, see {where}\n  {numbers}"
        )
