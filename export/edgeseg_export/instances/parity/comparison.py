"""What was measured between an original's objects and an artifact's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg_export.instances.parity.average_precision import InstanceAccuracy
from edgeseg_export.instances.parity.matching import Match
from edgeseg_export.instances.parity.objects import Seen
from edgeseg_export.parity.bootstrap import interval
from edgeseg_export.parity.comparison import Sampling, few_pictures, plain

Floats = npt.NDArray[np.float64]
FEW_OBJECTS = 30
"""Below this many pairs a verdict stands on thin ground, and a common shift of all boxes is not told from chance."""


@dataclass(frozen=True, eq=False)
class InstanceAccuracyPair:
    """Original and artifact against the same truth."""

    original: InstanceAccuracy
    artifact: InstanceAccuracy
    sampling: Sampling

    @property
    def mean_ap(self) -> tuple[float, float]:
        """The mask AP (0..1) of the original and of the artifact."""
        return float(self.original.mean_ap()), float(self.artifact.mean_ap())

    @property
    def drop(self) -> float:
        """Points of mask AP lost."""
        return 100 * (self.mean_ap[0] - self.mean_ap[1])

    @property
    def class_drops(self) -> Floats:
        """Points of mask AP lost by each class; NaN for a class that the truth does not hold."""
        return 100 * (self.original.class_ap() - self.artifact.class_ap())

    @cached_property
    def drop_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of `drop`, by paired bootstrap over pictures; None with fewer than two."""

        def drop(weights: Floats) -> Floats:
            return 100 * (self.original.mean_ap(weights) - self.artifact.mean_ap(weights))

        pictures = len(self.original.rows)
        return interval(drop, pictures, resamples=self.sampling.resamples, seed=self.sampling.seed)


@dataclass(frozen=True, eq=False)
class InstanceComparison:
    """An artifact's objects beside the original's on n pictures."""

    pictures: tuple[str, ...]
    labels: tuple[str, ...]
    matches: tuple[Match, ...]
    """One for each picture."""
    accuracy: InstanceAccuracyPair | None
    """Against the truth, on the pictures that have one; None if none has."""
    worst: dict[int, Seen]
    """What the artifact sees on the pictures that agree least, worst first, by index of the picture."""

    @property
    def agreement(self) -> Floats:
        """(n,): see `Match.agreement`."""
        return np.array([match.agreement for match in self.matches])

    @property
    def originals(self) -> int:
        """Objects of the original."""
        return sum(match.originals for match in self.matches)

    @property
    def pairs(self) -> int:
        """Objects that both have."""
        return sum(len(match.iou) for match in self.matches)

    @property
    def missed(self) -> int:
        """Objects of the original that the artifact lacks, without those at the threshold."""
        return sum(len(match.missed) for match in self.matches)

    @property
    def extra(self) -> int:
        """Objects of the artifact that the original lacks, without those at the threshold."""
        return sum(len(match.extra) for match in self.matches)

    @property
    def at_threshold(self) -> int:
        """Objects that only one has, because their score lies on the other side of the threshold by a little."""
        return sum(match.at_threshold for match in self.matches)

    @property
    def changed_share(self) -> float:
        """Missed and extra objects in % of the original's; of nothing one is as much as 100."""
        return 100 * (self.missed + self.extra) / max(1, self.originals)

    @property
    def mask_iou(self) -> float:
        """IoU of the masks of pairs, mean; NaN without pairs."""
        return _mean(np.concatenate([match.iou for match in self.matches]))

    @property
    def class_flips(self) -> float:
        """Pairs of different classes, in %; NaN without pairs."""
        labels = np.concatenate([match.labels for match in self.matches])
        return 100 * _mean((labels[:, 0] != labels[:, 1]).astype(np.float64))

    @property
    def score_drift(self) -> tuple[float, float]:
        """Points by which scores of pairs differ: mean, largest; NaN without pairs."""
        scores = np.concatenate([match.scores for match in self.matches])
        drift = 100 * np.abs(scores[:, 1] - scores[:, 0])
        return _mean(drift), float(drift.max()) if len(drift) else float("nan")

    @property
    def box_drift(self) -> float:
        """Pixels of the input by which sides of boxes differ, mean over pairs and sides; NaN without pairs."""
        return _mean(np.abs(self._moves).ravel())

    @property
    def box_shift(self) -> float:
        """Pixels of the input by which all boxes lie to one side, the larger of across and down.

        NaN for fewer than FEW_OBJECTS pairs.
        """
        if self.pairs < FEW_OBJECTS:
            return float("nan")
        centres = (self._moves[:, :2] + self._moves[:, 2:]) / 2
        return float(np.abs(centres.mean(axis=0)).max())

    @property
    def _moves(self) -> Floats:
        return np.concatenate([match.moves for match in self.matches])

    def numbers(self) -> Iterator[tuple[str, float, str]]:
        """Yield what is held against `InstanceLimits`: (limit, measured, where)."""
        yield "max_changed_objects", self.changed_share, ""
        yield "max_class_flips", self.class_flips, ""
        yield "min_mask_iou", self.mask_iou, ""
        yield "max_box_drift", self.box_drift, ""
        yield "max_box_shift", self.box_shift, ""
        yield "max_score_drift", self.score_drift[0], ""
        if self.accuracy is not None:
            yield "max_ap_drop", self.accuracy.drop, ""

    def notes(self) -> Iterator[str]:
        """Say what could not be judged, and why."""
        yield from few_pictures(len(self.pictures))
        if not self.originals:
            yield "the original finds no object on these pictures: there was nothing to compare"
        elif self.pairs < FEW_OBJECTS:
            yield f"only {self.pairs} objects were found by both; a verdict on fewer than {FEW_OBJECTS} is weak"
        if self.at_threshold:
            yield f"{self.at_threshold} objects lie at their score threshold and are on one side of it only"
        if self.accuracy is None:
            yield "no picture came with truth: accuracy was not judged, only whether the objects are the same"
        elif np.isnan(self.accuracy.drop):
            yield "the truth of these pictures holds no object: accuracy was not judged"

    def __str__(self) -> str:
        iou = "–" if np.isnan(self.mask_iou) else f"{self.mask_iou:.4f}"
        return f"{self.originals} objects, {self.missed} missed, {self.extra} extra, mask IoU {iou}"

    def as_dict(self) -> dict[str, Any]:
        """Return every number as plain JSON values, None where there is nothing to measure."""
        return {
            "pictures": len(self.pictures),
            "objects": {
                "original": self.originals,
                "pairs": self.pairs,
                "missed": self.missed,
                "extra": self.extra,
                "at_threshold": self.at_threshold,
                "changed_percent": self.changed_share,
                "class_flips_percent": plain(self.class_flips),
            },
            "mask_iou": plain(self.mask_iou),
            "score_drift_points": {"mean": plain(self.score_drift[0]), "largest": plain(self.score_drift[1])},
            "box_pixels": {"drift": plain(self.box_drift), "shift": plain(self.box_shift)},
            "agreement": {"mean": float(self.agreement.mean()), "worst": float(self.agreement.min())},
            "against_truth": None if self.accuracy is None else _accuracy_dict(self.accuracy, self.labels),
            "each_picture": [
                {
                    "name": name,
                    "agreement": match.agreement,
                    "original": match.originals,
                    "artifact": match.artifacts,
                    "missed": len(match.missed),
                    "extra": len(match.extra),
                    "at_threshold": match.at_threshold,
                }
                for name, match in zip(self.pictures, self.matches, strict=True)
            ],
        }


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _accuracy_dict(pair: InstanceAccuracyPair, labels: tuple[str, ...]) -> dict[str, Any]:
    original, artifact = pair.original.class_ap(), pair.artifact.class_ap()
    positives = pair.original.positives
    bounds = pair.drop_interval
    return {
        "pictures": len(positives),
        "mask_ap": {
            "original": plain(pair.mean_ap[0]),
            "artifact": plain(pair.mean_ap[1]),
            "drop_points": plain(pair.drop),
            "drop_interval_95": None if bounds is None else list(bounds),
        },
        "classes": {
            name: {
                "objects": int(positives[:, index].sum()),
                "pictures": int((positives[:, index] > 0).sum()),
                "original_ap": plain(original[index]),
                "artifact_ap": plain(artifact[index]),
                "drop_points": plain(pair.class_drops[index]),
            }
            for index, name in enumerate(labels)
        },
    }
