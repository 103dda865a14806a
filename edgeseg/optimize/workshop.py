"""The real Workshop: files are exported, run by the engines, scored on labelled pictures and held against PyTorch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from edgeseg.data.base import SegmentationData
from edgeseg.models.registry import model_spec
from edgeseg.optimize.files import ModelFiles, computed_in, input_size
from edgeseg.optimize.measurements import Confirmation, Estimate, Impossible
from edgeseg.optimize.quantise import quickly, well
from edgeseg.optimize.scoring import Counts, Subset, confusions, quick_estimate
from edgeseg.optimize.space import Trial, Variant, Weights
from edgeseg.optimize.timing import measure
from edgeseg.optimize.training import SHAPE_PICTURES, Trainer
from edgeseg.training.checkpoint import Checkpoint
from edgeseg.training.evaluate import evaluate
from edgeseg_export.artifacts import Artifact, Calibration, package_versions
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.parity.compare import Reference, compare
from edgeseg_export.parity.comparison import Comparison
from edgeseg_export.parity.deployed import deployed_path
from edgeseg_export.parity.entry import Entry
from edgeseg_export.parity.pictures import Pictures
from edgeseg_export.parity.report import write_report
from edgeseg_export.parity.thresholds import DEFAULTS
from edgeseg_export.parity.verdict import judge
from edgeseg_export.pipeline import MANIFEST, PARITY, REPORT, parity_document
from edgeseg_runtime.errors import GateFailed, ScoresError
from edgeseg_runtime.files import atomic_path, write_json
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.segmenter import Segmenter

FRAMES = 12
"""Pictures that latency is measured on, spread over those that are scored."""


@dataclass
class RealWorkshop:
    """Works in the folder `root`, where everything it makes is found again after a kill."""

    root: Path
    checkpoint: Checkpoint
    """The original's description."""
    trainer: Trainer
    data: SegmentationData
    """What is scored."""
    quick: Subset
    """What is looked at first."""
    pictures: Pictures
    """What masks are compared on: `data`, as the parity gate walks through it."""
    calibration: Calibration | None
    """None where nothing is quantised after training."""
    seconds: float = 1.0
    """Of measuring, for each latency of a shape; finished files take three times as long."""
    progress: Progress = silent
    _decoding: dict[tuple[float, int], float] = field(default_factory=dict)
    _references: dict[tuple[Weights, float], Reference] = field(default_factory=dict)
    _entries: dict[Variant, tuple[Reference, Entry[Comparison]]] = field(default_factory=dict)

    def original(self) -> float:
        """See Workshop."""
        return self._original_mean_iou

    def latency(self, trial: Trial) -> float:
        """See Workshop."""
        variant = trial.variant
        # a net that needs no training is its own shape; int8's ranges make no difference to its time
        finished = not variant.weights.trained and variant.precision != "int8"
        file = (self.files if finished else self.shapes).get(variant)
        timing = measure(file, trial, computed_in(variant), self._frames, self.seconds)
        if not variant.weights.trained:
            return timing.whole
        # How long decoding takes depends on the masks, and an untrained net draws noise: the original's counts.
        return timing.network + self._decode_ms(trial)

    def train(self, weights: Weights) -> None:
        """See Workshop."""
        self.trainer.train(weights)

    def quick_score(self, variant: Variant) -> Estimate:
        """See Workshop."""
        label = f"{variant}, few pictures"
        with _no_nonsense(variant):
            return quick_estimate(
                self._segment(variant), self._quick_original, self.quick, self._original_mean_iou, label, self.progress
            )

    def score(self, variant: Variant) -> float:
        """See Workshop."""
        with _no_nonsense(variant):
            scores = evaluate(self._segment(variant), self.data, self.checkpoint.contract.names, self.progress)
        return float(scores.mean_iou)

    def confirm(self, trial: Trial) -> Confirmation:
        """See Workshop."""
        variant = trial.variant
        file = self.files.get(variant)
        timing = measure(file, trial, computed_in(variant), self._frames, 3 * self.seconds)
        try:
            _, entry = self._examined(variant)
        except GateFailed as error:
            return Confirmation(timing.whole, 0.0, str(error))
        refusal = None if entry.verdict.passed else "; ".join(entry.verdict.failure_lines())
        return Confirmation(timing.whole, entry.comparison.mean_agreement, refusal)

    def deliver(self, variant: Variant, out: Path, facts: Mapping[str, str], extra: Mapping[str, Any]) -> None:
        """Write the folder `out`, whole: a variant's file, its parity report, its manifest and `extra` JSON files."""
        reference, entry = self._examined(variant)
        with atomic_path(out) as staging:
            shutil.copytree(self.files.get(variant).parent, staging)
            artifact = Artifact(variant.name, staging / self.files.path(variant).name, computed_in(variant))
            manifest = {
                "facts": dict(facts),
                "packages": package_versions(),
                "contract": reference.contract.to_json(),
                "calibration": self.calibration.facts() if self.calibration and variant.precision == "int8" else None,
                "artifacts": [artifact.facts(staging) | {"passed": entry.verdict.passed}],
            }
            write_json(staging / MANIFEST, manifest)
            write_json(staging / PARITY, parity_document([entry]))
            write_report(staging / REPORT, f"{variant}: mask parity", reference, [entry], facts)
            for name, content in extra.items():
                write_json(staging / name, content)

    @cached_property
    def files(self) -> ModelFiles:
        """Finished files."""
        pictures = self.calibration.pictures if self.calibration else ()
        return ModelFiles(
            self.root / "models",
            self.checkpoint.contract,
            self._module(self.trainer.net),
            well(pictures, self.progress),
        )

    @cached_property
    def shapes(self) -> ModelFiles:
        """Files that are only timed."""
        pictures = self.calibration.pictures[:SHAPE_PICTURES] if self.calibration else ()
        return ModelFiles(
            self.root / "shapes", self.checkpoint.contract, self._module(self.trainer.shape), quickly(pictures)
        )

    def _module(self, net: Callable[[Weights], nn.Module]) -> Callable[[Weights, tuple[int, int]], Deployable]:
        def make(weights: Weights, size: tuple[int, int]) -> Deployable:
            least = model_spec(self.checkpoint.model).minimum
            if min(size) < least:
                raise Impossible(f"{self.checkpoint.model} needs inputs of at least {least}×{least}")
            contract = replace(self.checkpoint.contract, height=size[0], width=size[1])
            return Deployable(net(weights), contract).eval()

        return make

    def _segment(self, variant: Variant) -> Callable[[Image], Mask]:
        segmenter = Segmenter.load(self.files.get(variant), engine=variant.engine)
        return lambda frame: segmenter(frame).mask

    def _examined(self, variant: Variant) -> tuple[Reference, Entry[Comparison]]:
        """Hold a finished file's masks against those of its own PyTorch net at its own size. Raises GateFailed."""
        if variant not in self._entries:
            reference = self._reference(variant)
            path = deployed_path(Segmenter.load(self.files.get(variant), engine=variant.engine), reference.contract)
            comparison = compare(reference, path, label=f"{variant}, parity", progress=self.progress)
            verdict = judge(comparison, DEFAULTS[computed_in(variant)])
            self._entries[variant] = reference, Entry(variant.name, comparison, verdict)
        return self._entries[variant]

    def _reference(self, variant: Variant) -> Reference:
        key = variant.weights, variant.resolution
        if key not in self._references:
            module = self.files.module(variant.weights, input_size(self.checkpoint.contract, variant.resolution))
            original = TorchSegmenter(module)
            self._references = {key: Reference.of(original, self.pictures, module.contract, progress=self.progress)}
        return self._references[key]

    def _decode_ms(self, trial: Trial) -> float:
        key = trial.variant.resolution, trial.threads
        if key not in self._decoding:
            plain = Trial(Variant(key[0], 0.0, "float32", trial.variant.engine), trial.threads)
            timing = measure(self.files.get(plain.variant), plain, "float32", self._frames, self.seconds)
            self._decoding[key] = timing.decode
        return self._decoding[key]

    @cached_property
    def _original(self) -> TorchSegmenter:
        return TorchSegmenter(self.files.module(Weights(), self.checkpoint.contract.size))

    @cached_property
    def _original_mean_iou(self) -> float:
        names = self.checkpoint.contract.names
        return float(evaluate(self._original, self.data, names, self.progress).mean_iou)

    @cached_property
    def _quick_original(self) -> Counts:
        return confusions(self._original, self.quick, "original, few pictures", self.progress)

    @cached_property
    def _frames(self) -> list[Image]:
        few = Subset.of(self.data, FRAMES)
        return [few.read(index).image for index in range(len(few))]


@contextmanager
def _no_nonsense(variant: Variant) -> Iterator[None]:
    """A net that gives NaN at some setting is out; the user has made no mistake."""
    try:
        yield
    except ScoresError as error:
        raise Impossible(f"{variant}: {error}") from error
