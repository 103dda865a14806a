"""Mistakes that happen between training and a device, planted in copies of an exported file and shown to the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgeseg.cli.console import note, progress
from edgeseg.cli.pictures import labelled_pictures, run_data
from edgeseg.training.checkpoint import load_semantic
from edgeseg_export.artifacts import package_versions
from edgeseg_export.deployable import TorchSegmenter
from edgeseg_export.parity.compare import Reference
from edgeseg_export.parity.comparison import Comparison
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.faults import Fault, plant, swap_red_blue, wrong_int8_scale
from edgeseg_export.parity.gate import MaskGate
from edgeseg_export.parity.report import write_report
from edgeseg_export.place import REPORT
from edgeseg_runtime.errors import GateFailed
from edgeseg_runtime.segmenter import Segmenter

FAULTS: Mapping[str, tuple[str, Fault]] = {
    "red-and-blue-swapped": ("frames reach the network with red and blue exchanged", swap_red_blue),
    "wrong-int8-scale": (
        "the int8 scale of an early layer is four times too large",
        partial(wrong_int8_scale, factor=4.0, layer=2),
    ),
}


@dataclass(frozen=True)
class Refusal:
    """A spoilt file that the gate did not let pass."""

    name: str
    fault: str
    failures: tuple[str, ...]
    """A line for every number beyond what is allowed."""


def refuse_faults(run: Path, sound: Path, out: Path) -> list[Refusal]:
    """Plant each fault in a copy of the int8 file `sound`, below `out`, and hold it against the run's original.

    Writes a report of the masks beside them. Raises GateFailed when the gate lets one of them pass.
    """
    module, checkpoint = load_semantic(run)
    names = module.contract.names
    pictures = labelled_pictures(run_data(checkpoint, None, None, "val_split", progress), names)
    reference = Reference.of(TorchSegmenter(module), pictures, module.contract, progress=progress)
    gate = MaskGate(reference, progress=progress)
    entries: list[Entry[Comparison]] = []
    for name, (_, fault) in FAULTS.items():
        file = plant(sound, out / name / sound.name, fault)
        entries.append(gate.examine(name, Segmenter.load(file)))
    facts = {"spoilt on purpose": str(sound), **package_versions()}
    write_report(out / REPORT, "What the parity gate refused", reference, entries, facts)
    return [_refusal(entry) for entry in entries]


def _refusal(entry: Entry[Comparison]) -> Refusal:
    fault, lines = FAULTS[entry.name][0], entry.verdict.failure_lines()
    if entry.verdict.passed:
        raise GateFailed(f"the gate let {entry.name} pass, although {fault}")
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    note(f"refused, as it should be: {fault}\n  {lines[0]}{more}")
    return Refusal(entry.name, fault, lines)
