"""Export from end to end: build every file, hold each against the original, keep what passed, write down the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg_export.artifact import Artifact
from edgeseg_export.artifacts import Calibration, Wanted, build_artifacts, package_versions
from edgeseg_export.deployable import FrameModule
from edgeseg_export.onnx_file import DynamicAxes
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.gate import Gate
from edgeseg_export.place import MANIFEST, PARITY, REPORT, check_place
from edgeseg_runtime.engines import ENGINES
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.files import atomic_path, write_json
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.segmenter import REJECTED, Segmenter

if TYPE_CHECKING:
    from edgeseg_export.mixed import MixedSearch


@dataclass(frozen=True)
class Bound:
    """What int8 may lose: layers go back to float until that holds and the gate is passed."""

    max_drop: float
    """As the gate measures drops."""
    rankings: Path
    """Folder where the layers' rankings are kept for another time."""


@dataclass(frozen=True)
class ExportPlan:
    """What to make, and of what to prove it."""

    gate: Callable[[], Gate]
    """Makes what every file is held against: an original on real pictures, with truth where there is some."""
    calibration: Calibration | None = None
    """None makes no int8 files."""
    dynamic: DynamicAxes = field(default_factory=DynamicAxes)
    bound: Bound | None = None
    """None keeps every layer in int8."""


def export_model(
    module: FrameModule,
    out: Path,
    plan: ExportPlan,
    facts: Mapping[str, str],
    *,
    progress: Progress = silent,
    report: Callable[[str], None] = print,
) -> list[Entry[Any]]:
    """Write the folder `out`, whole, in place of one that was there, and return what was judged.

    `facts` (checkpoint, command, …) go into the report and the manifest as they are. Every file is compared through
    its own engine, read back from disk. Raises GateFailed when one differs too much: it is then only in `rejected/`,
    and OutputError when `out` holds anything but an export.
    """
    check_place(out)
    gate = plan.gate()
    bf16 = "bf16" in ENGINES["openvino"].capabilities().precisions
    if not bf16:
        report("openvino-bf16: left out, this processor does not compute in bf16 and it could not be compared")
    with atomic_path(out, over_folder=True) as staging:
        staging.mkdir()
        entries: list[Entry[Any]] = []
        built = []
        wanted = Wanted(plan.calibration, plan.dynamic, bf16, _search(plan, gate, progress))
        for artifact in build_artifacts(module, staging, wanted, progress):
            entry = gate.examine(artifact.name, Segmenter.load(artifact.file))
            for remark in artifact.remarks:
                report(f"{artifact.name}: {remark}")
            report(f"{artifact.name}: {entry.verdict.level}, {entry.comparison}")
            entries.append(entry)
            built.append(artifact)
        # only now: later files are made from the first ones, whatever became of these
        kept = [
            artifact if entry.verdict.passed else reject(artifact, staging)
            for artifact, entry in zip(built, entries, strict=True)
        ]
        manifest = {
            "facts": dict(facts),
            "packages": package_versions(),
            "contract": module.contract.to_json(),
            "calibration": plan.calibration.facts() if plan.calibration else None,
            "artifacts": [item.facts(staging) | {"passed": item.folder.parent == staging} for item in kept],
        }
        write_json(staging / MANIFEST, manifest)
        write_json(staging / PARITY, parity_document(entries))
        gate.write_report(staging / REPORT, out.parent.name, entries, facts)
    raise_failures(entries, gate.refusal, out / REJECTED, ways_out(plan, entries))
    return entries


def _search(plan: ExportPlan, gate: Gate, progress: Progress) -> MixedSearch | None:
    """Return the search for mixed files; None if no bound is set."""
    bound, calibration = plan.bound, plan.calibration
    if bound is None or calibration is None:
        return None
    from edgeseg_export.mixed import MixedSearch, ranking_of

    def rank(float_file: Path, int8_file: Path) -> tuple[str, ...]:
        return ranking_of(float_file, int8_file, calibration.pictures, bound.rankings, progress)

    return MixedSearch(gate, bound.max_drop, rank)


def reject(artifact: Artifact, root: Path) -> Artifact:
    """Move an artifact to where no device would look for it."""
    target = root / REJECTED / artifact.name
    target.parent.mkdir(exist_ok=True)
    shutil.move(artifact.folder, target)
    return replace(artifact, file=target / artifact.file.name)


def parity_document(entries: Sequence[Entry[Any]]) -> dict[str, Any]:
    """Return the contents of parity.json: verdict and numbers by artifact."""
    return {entry.name: entry.document() for entry in entries}


def ways_out(plan: ExportPlan, entries: Sequence[Entry[Any]]) -> str:
    """Say what helps where int8 without a bound was refused; nothing else is known to help."""
    if plan.calibration is None or plan.bound is not None:
        return ""
    if not any(entry.name.endswith("-int8") and not entry.verdict.passed for entry in entries):
        return ""
    return (
        "\n  for int8: --max-drop 1 leaves the fewest layers in float that will do; "
        "`edgeseg train --qat --init RUN` learns with its rounding"
    )


def raise_failures(entries: Sequence[Entry[Any]], refusal: str, where: Path, advice: str = "") -> None:
    """Raise GateFailed naming every artifact that did not pass and its numbers."""
    failed = [entry for entry in entries if not entry.verdict.passed]
    if failed:
        numbers = "\n  ".join(f"{entry.name}: " + "; ".join(entry.verdict.failure_lines()) for entry in failed)
        raise GateFailed(f"{len(failed)} of {len(entries)} files {refusal}, see {where}\n  {numbers}{advice}")
