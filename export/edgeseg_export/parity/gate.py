"""What holds files against an original: used by the export and by the search for mixed files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from edgeseg_export.parity.compare import Reference, compare
from edgeseg_export.parity.comparison import Comparison
from edgeseg_export.parity.deployed import deployed_path
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.report import write_report
from edgeseg_export.parity.thresholds import DEFAULTS, Overrides
from edgeseg_export.parity.verdict import judge
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.segmenter import Segmenter


class Gate(Protocol):
    """An original, and how far files may be from it."""

    refusal: ClassVar[str]
    """What is said of files that fail: `do not draw the original's masks`."""

    @property
    def frame(self) -> Image:
        """One of its pictures, to time files on."""
        ...

    def examine(self, name: str, segmenter: Segmenter) -> Entry[Any]:
        """Compare a file, from picture to result, with the original and judge it by its precision.

        Raises GateFailed when the file cannot be compared at all.
        """
        ...

    def drop(self, comparison: Any) -> tuple[float, str]:
        """Return what a file that was compared loses, and the unit: points against the truth where there is some."""
        ...

    def write_report(self, path: Path, title: str, entries: Sequence[Entry[Any]], facts: Mapping[str, str]) -> None:
        """Write one HTML file with every number and the pictures that agree least."""
        ...


@dataclass(frozen=True)
class MaskGate:
    """The gate of semantic models: masks, pixel by pixel."""

    reference: Reference
    overrides: Overrides = field(default_factory=Overrides)
    """Bounds that replace the precision's own."""
    progress: Progress = silent
    refusal: ClassVar[str] = "do not draw the original's masks"

    @property
    def frame(self) -> Image:
        """The first picture."""
        return self.reference.pictures[0].image

    def examine(self, name: str, segmenter: Segmenter) -> Entry[Comparison]:
        """Compare a file's masks with the original's and judge them."""
        path = deployed_path(segmenter, self.reference.contract)
        comparison = compare(self.reference, path, label=f"{name}'s masks", progress=self.progress)
        return Entry(name, comparison, judge(comparison, DEFAULTS[segmenter.precision].override(self.overrides)))

    def drop(self, comparison: Comparison) -> tuple[float, str]:
        """Return points of mIoU lost where there is truth for a verdict, else % of pixels with another class."""
        if comparison.accuracy is not None and comparison.accuracy.judged.any():
            return comparison.accuracy.miou_drop, "mIoU points"
        return 100 * (1 - comparison.mean_agreement), "% of pixels"

    def write_report(
        self, path: Path, title: str, entries: Sequence[Entry[Comparison]], facts: Mapping[str, str]
    ) -> None:
        """Write the report of masks."""
        write_report(path, f"{title}: mask parity", self.reference, entries, facts)
