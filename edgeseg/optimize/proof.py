"""Whether finished files draw what the networks they were made of draw."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeseg.optimize.files import ModelFiles, input_size
from edgeseg.optimize.space import Variant, Weights, computed_in
from edgeseg_export.deployable import TorchSegmenter
from edgeseg_export.parity.compare import Reference, compare
from edgeseg_export.parity.comparison import Comparison
from edgeseg_export.parity.deployed import deployed_path
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.pictures import Pictures
from edgeseg_export.parity.thresholds import DEFAULTS
from edgeseg_export.parity.verdict import judge
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.segmenter import Segmenter


@dataclass
class Proof:
    """The parity gate of a search. Every file is held against PyTorch with the same weights at the same size."""

    files: ModelFiles
    pictures: Pictures
    progress: Progress = silent
    _reference: tuple[tuple[Weights, float], Reference] | None = None
    """The last one; the masks of every picture take memory."""
    _entries: dict[Variant, Entry[Comparison]] = field(default_factory=dict)

    def entry(self, variant: Variant) -> Entry[Comparison]:
        """Return how a file's masks compare, and the verdict. Raises GateFailed when they cannot be compared."""
        if variant not in self._entries:
            reference = self.reference(variant)
            path = deployed_path(Segmenter.load(self.files.get(variant), engine=variant.engine), reference.contract)
            comparison = compare(reference, path, label=f"{variant}, parity", progress=self.progress)
            verdict = judge(comparison, DEFAULTS[computed_in(variant.precision)])
            self._entries[variant] = Entry(variant.name, comparison, verdict)
        return self._entries[variant]

    def reference(self, variant: Variant) -> Reference:
        """Return the masks of a variant's own PyTorch net."""
        key = variant.weights, variant.resolution
        if self._reference is None or self._reference[0] != key:
            module = self.files.module(variant.weights, input_size(self.files.contract, variant.resolution))
            drawn = Reference.of(TorchSegmenter(module), self.pictures, module.contract, progress=self.progress)
            self._reference = key, drawn
        return self._reference[1]
