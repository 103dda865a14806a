"""The real Workshop: files are exported, run by the engines, scored on labelled pictures and held against PyTorch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from edgeseg.data.base import SegmentationData
from edgeseg.models.registry import model_spec
from edgeseg.optimize.files import ModelFiles
from edgeseg.optimize.measurements import Confirmation, Estimate, Impossible
from edgeseg.optimize.proof import Proof
from edgeseg.optimize.quantise import Quantise, Quickly, Well
from edgeseg.optimize.scoring import Counts, Subset, confusions, quick_estimate
from edgeseg.optimize.space import Trial, Variant, Weights, computed_in
from edgeseg.optimize.timing import measure
from edgeseg.optimize.training import SHAPE_PICTURES, Trainer
from edgeseg.training.checkpoint import Checkpoint
from edgeseg.training.evaluate import evaluate
from edgeseg_export.artifact import Artifact
from edgeseg_export.artifacts import Calibration, package_versions
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_export.mixed import ranking_of
from edgeseg_export.parity.pictures import Pictures
from edgeseg_export.parity.report import write_report
from edgeseg_export.pipeline import parity_document
from edgeseg_export.place import MANIFEST, PARITY, REPORT, SENSITIVITY
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

    def original(self) -> float:
        """See Workshop."""
        return self._original_mean_iou

    def latency(self, trial: Trial) -> float:
        """See Workshop."""
        variant = trial.variant
        # A net that needs no training is its own shape; int8's ranges make no difference to its time. Which layers of
        # a mixed one stay in float is known only once it is trained.
        finished = variant.precision == "mixed" or not (variant.weights.trained or variant.calibrated)
        file = (self.files if finished else self.shapes).get(variant)
        timing = measure(file, trial, computed_in(variant.precision), self._frames, self.seconds)
        if finished or not variant.weights.trained:
            return timing.whole
        # How long decoding takes depends on the masks, and an untrained net draws noise: the original's counts.
        return timing.network + self._decode_ms(trial)

    def train(self, weights: Weights) -> None:
        """See Workshop."""
        self.trainer.train(weights)

    def layers(self, variant: Variant) -> int:
        """See Workshop."""
        return len(self.files.ranking(variant))

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
        timing = measure(file, trial, computed_in(variant.precision), self._frames, 3 * self.seconds)
        try:
            entry = self._proof.entry(variant)
        except GateFailed as error:
            return Confirmation(timing.whole, 0.0, str(error))
        refusal = None if entry.verdict.passed else "; ".join(entry.verdict.failure_lines())
        return Confirmation(timing.whole, entry.comparison.mean_agreement, refusal)

    def deliver(self, variant: Variant, out: Path, facts: Mapping[str, str], extra: Mapping[str, Any]) -> None:
        """Write the folder `out`, whole: a variant's file, its parity report, its manifest and `extra` JSON files.

        An earlier choice there is replaced.
        """
        entry, reference = self._proof.entry(variant), self._proof.reference(variant)
        with atomic_path(out, over_folder=True) as staging:
            staging.mkdir()
            made = self.files.get(variant)
            for part in (made, made.with_suffix(".bin")):  # and not what a kill may have left beside them
                if part.is_file():
                    shutil.copy2(part, staging)
            about = {"mixed": {"float_layers": self.files.float_layers(variant)}} if variant.float_layers else {}
            file = staging / made.name
            artifact = Artifact(variant.name, file, computed_in(variant.precision), about)
            manifest = {
                "facts": dict(facts),
                "packages": package_versions(),
                "contract": reference.contract.to_json(),
                "calibration": self.calibration.facts() if self.calibration and variant.calibrated else None,
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
        return self._files("models", self.trainer.net, Well(self._calibration_pictures, self.progress))

    @cached_property
    def shapes(self) -> ModelFiles:
        """Files that are only timed."""
        return self._files("shapes", self.trainer.shape, Quickly(self._calibration_pictures[:SHAPE_PICTURES]))

    @cached_property
    def _proof(self) -> Proof:
        return Proof(self.files, self.pictures, self.progress)

    def _files(self, name: str, net: Callable[[Weights], nn.Module], quantise: Quantise) -> ModelFiles:
        return ModelFiles(self.root / name, self.checkpoint.contract, self._module(net), quantise, self._rank)

    def _rank(self, float_file: Path, int8_file: Path) -> Sequence[str]:
        return ranking_of(float_file, int8_file, self._calibration_pictures, self.root / SENSITIVITY, self.progress)

    @property
    def _calibration_pictures(self) -> Sequence[Image]:
        return self.calibration.pictures if self.calibration else ()

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
