"""The gate of instance models: objects, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from edgeseg_export.instances.parity.compare import InstanceReference, compare
from edgeseg_export.instances.parity.comparison import InstanceComparison
from edgeseg_export.instances.parity.limits import INSTANCE_DEFAULTS, InstanceOverrides
from edgeseg_export.instances.parity.paths import deployed_objects
from edgeseg_export.instances.parity.report import write_report
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.verdict import judge
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.segmenter import Segmenter


@dataclass(frozen=True)
class ObjectGate:
    """An original's objects, and how far those of files may be from them."""

    reference: InstanceReference
    overrides: InstanceOverrides = field(default_factory=InstanceOverrides)
    """Bounds that replace the precision's own."""
    progress: Progress = silent
    refusal: ClassVar[str] = "do not show the original's objects"

    @property
    def frame(self) -> Image:
        """The first picture."""
        return self.reference.pictures[0].image

    def examine(self, name: str, segmenter: Segmenter) -> Entry[InstanceComparison]:
        """Compare a file's objects with the original's and judge them. Raises GateFailed for another contract."""
        path = deployed_objects(segmenter, self.reference.contract)
        comparison = compare(self.reference, path, label=f"{name}'s objects", progress=self.progress)
        thresholds = INSTANCE_DEFAULTS[segmenter.precision].override(self.overrides)
        return Entry(name, comparison, judge(comparison, thresholds))

    def drop(self, comparison: InstanceComparison) -> tuple[float, str]:
        """Return points of mask AP lost where the truth holds objects, else how far objects are from being alike."""
        if comparison.accuracy is not None and comparison.accuracy.drop == comparison.accuracy.drop:
            return comparison.accuracy.drop, "mask AP points"
        return 100 * (1 - float(comparison.agreement.mean())), "% of the objects"

    def write_report(
        self, path: Path, title: str, entries: Sequence[Entry[InstanceComparison]], facts: Mapping[str, str]
    ) -> None:
        """Write the report of objects."""
        write_report(path, f"{title}: object parity", self.reference, entries, facts)
