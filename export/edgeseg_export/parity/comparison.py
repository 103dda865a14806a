"""What was measured between an original and an artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg_export.parity.accuracy import Accuracy, Counts, Floats, mean_over
from edgeseg_export.parity.bootstrap import interval
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.metrics import Scores
from edgeseg_runtime.preprocess import Mask

FEW_PICTURES = 20
"""Below this many pictures a verdict stands on thin ground, and says so."""


@dataclass(frozen=True)
class Sampling:
    """How sure a drop is, and what is shown. Raises ConfigError for values that measure nothing."""

    resamples: int = 2000
    """Bootstrap resamples behind the interval of the drop against the truth."""
    seed: int = 0
    """Seed of the resampling."""
    examples: int = 10
    """How many of the worst pictures are kept to be shown."""

    def __post_init__(self) -> None:
        self._check_least({"resamples": 100, "examples": 0, "seed": 0})

    def _check_least(self, bounds: dict[str, int]) -> None:
        for name, bound in bounds.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name.replace('_', ' ')} must be at least {bound}, got {getattr(self, name)}")


@dataclass(frozen=True)
class Settings(Sampling):
    """How masks are measured. Raises ConfigError for values that measure nothing."""

    edge_distance: int = 3
    """Width in pixels, to either side, of the band around class edges."""
    contour_share: float = 0.0075
    """Distance at which contours still match, as a share of the picture's diagonal."""
    min_class_pixels: int = 1000
    """True pixels a class needs in all for a verdict; below, a handful of pixels moves its IoU by whole points."""
    min_class_pictures: int = 3
    """Pictures a class must be on for a verdict."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.contour_share < 1:
            raise ConfigError(f"contour share must lie between 0 and 1, got {self.contour_share}")
        self._check_least({"edge_distance": 0, "min_class_pixels": 1, "min_class_pictures": 1})


@dataclass(frozen=True)
class AccuracyPair:
    """Original and artifact against the same truth. Shares in 0..1; drops in points, positive when the artifact lost.

    Means are taken over the classes with enough pixels for a verdict, the same for both.
    """

    original: Accuracy
    artifact: Accuracy
    settings: Settings

    @property
    def judged(self) -> npt.NDArray[np.bool_]:
        """Whether each class has enough true pixels, on enough pictures, for a verdict."""
        truth, needed = self.original.truth, self.settings
        pictures = (truth > 0).sum(0)
        return np.asarray((truth.sum(0) >= needed.min_class_pixels) & (pictures >= needed.min_class_pictures))

    @property
    def mean_iou(self) -> tuple[float, float]:
        """The mIoU of the original and of the artifact."""
        return float(mean_over(self.original.iou(), self.judged)), float(mean_over(self.artifact.iou(), self.judged))

    @property
    def miou_drop(self) -> float:
        """Points of mIoU lost."""
        return 100 * (self.mean_iou[0] - self.mean_iou[1])

    def miou_drop_interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of `miou_drop`, by paired bootstrap over pictures; None with fewer than two."""

        def drop(weights: Floats) -> Floats:
            original, artifact = self.original.iou(weights), self.artifact.iou(weights)
            return 100 * (mean_over(original, self.judged) - mean_over(artifact, self.judged))

        return self._interval(drop)

    def miou_intervals(self) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
        """Return the 95 % intervals (0..1) of `mean_iou`, by bootstrap over pictures; None with fewer than two."""

        def of(path: Accuracy) -> tuple[float, float] | None:
            return self._interval(lambda weights: mean_over(path.iou(weights), self.judged))

        return of(self.original), of(self.artifact)

    def _interval(self, statistic: Callable[[Floats], Floats]) -> tuple[float, float] | None:
        settings = self.settings
        return interval(statistic, len(self.original.hits), resamples=settings.resamples, seed=settings.seed)

    @property
    def class_drops(self) -> Floats:
        """Points of IoU lost by each class; NaN for a class that the truth does not hold."""
        return 100 * (self.original.iou() - self.artifact.iou())

    @property
    def boundary_f(self) -> tuple[float, float]:
        """The boundary F-measure of the original and of the artifact."""
        original, artifact = self.original.boundary_f(), self.artifact.boundary_f()
        return float(mean_over(original, self.judged)), float(mean_over(artifact, self.judged))

    @property
    def boundary_drop(self) -> float:
        """Points of boundary F-measure lost."""
        return 100 * (self.boundary_f[0] - self.boundary_f[1])


@dataclass(frozen=True)
class Comparison:
    """An artifact's masks beside the original's on n pictures."""

    pictures: tuple[str, ...]
    labels: tuple[str, ...]
    settings: Settings
    agreement: Floats
    """(n,): share of each picture's pixels that have the same class in both masks."""
    band: Counts
    """(n, 2): of the pixels near a class edge of the original's mask, how many agree, and how many there are."""
    between: Counts
    """(classes, classes): pixels of all pictures, row = class in the original's mask, column = in the artifact's."""
    accuracy: AccuracyPair | None
    """Against the truth, on the pictures that have one; None if none has."""
    worst: dict[int, Mask]
    """The artifact's masks of the pictures that agree least, worst first, by index of the picture."""

    @property
    def mean_agreement(self) -> float:
        """Pixel agreement, averaged over pictures."""
        return float(self.agreement.mean())

    @property
    def worst_picture(self) -> int:
        """Index of the picture that agrees least."""
        return int(self.agreement.argmin())

    @property
    def edge_agreement(self) -> float:
        """Agreement of the pixels near class edges, all pictures together; NaN if there are no edges."""
        agree, total = self.band.sum(0)
        return float(agree / total) if total else float("nan")

    @property
    def between_masks(self) -> Scores:
        """IoU and its kin with the original's mask in the place of truth."""
        return Scores(self.between)

    def numbers(self) -> Iterator[tuple[str, float, str]]:
        """Yield what is held against `Limits`: (limit, measured, the picture or class it is about)."""
        yield "min_agreement", self.mean_agreement, ""
        yield "min_worst_agreement", float(self.agreement.min()), self.pictures[self.worst_picture]
        yield "min_edge_agreement", self.edge_agreement, ""
        pair = self.accuracy
        if pair is None:
            return
        yield "max_miou_drop", pair.miou_drop, ""
        for name, drop, judged in zip(self.labels, pair.class_drops, pair.judged, strict=True):
            if judged:
                yield "max_class_drop", float(drop), name
        yield "max_boundary_drop", pair.boundary_drop, ""

    def notes(self) -> Iterator[str]:
        """Say what could not be judged, and why."""
        yield from few_pictures(len(self.pictures))
        if np.isnan(self.edge_agreement):
            yield "every mask of the original holds a single class: there were no class edges to compare"
        pair = self.accuracy
        if pair is None:
            yield "no picture came with truth: accuracy was not judged, only whether the masks are the same"
            return
        missing = [name for name, judged in zip(self.labels, pair.judged, strict=True) if not judged]
        if missing:
            yield (
                f"no verdict on {', '.join(missing)}: fewer than {self.settings.min_class_pixels} true pixels "
                f"or on fewer than {self.settings.min_class_pictures} pictures"
            )

    def __str__(self) -> str:
        return f"agreement {self.mean_agreement:.4%}"

    def as_dict(self) -> dict[str, Any]:
        """Return every number as plain JSON values, None where there is nothing to measure."""
        between = self.between_masks
        return {
            "pictures": len(self.pictures),
            "agreement": {
                "mean": self.mean_agreement,
                "worst": float(self.agreement.min()),
                "worst_picture": self.pictures[self.worst_picture],
            },
            "edges": {
                "distance_px": self.settings.edge_distance,
                "pixels": int(self.band[:, 1].sum()),
                "agreement": plain(self.edge_agreement),
            },
            "between_masks": {
                "mean_iou": plain(between.mean_iou),
                "class_iou": {name: plain(value) for name, value in zip(self.labels, between.iou, strict=True)},
            },
            "against_truth": None if self.accuracy is None else _accuracy_dict(self.accuracy, self.labels),
            "each_picture": [
                {"name": name, "agreement": float(share), "edge_agreement": plain(_ratio(*band))}
                for name, share, band in zip(self.pictures, self.agreement, self.band, strict=True)
            ],
        }


def few_pictures(count: int) -> Iterator[str]:
    """Say so where a verdict stands on fewer than FEW_PICTURES pictures."""
    if count < FEW_PICTURES:
        yield f"only {count} pictures were compared; a verdict on fewer than {FEW_PICTURES} is weak"


def plain(value: float) -> float | None:
    """Return a JSON number, or None for NaN."""
    return None if np.isnan(value) else float(value)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _accuracy_dict(pair: AccuracyPair, labels: tuple[str, ...]) -> dict[str, Any]:
    bounds = [None if each is None else list(each) for each in (*pair.miou_intervals(), pair.miou_drop_interval())]
    original, artifact, truth = pair.original.iou(), pair.artifact.iou(), pair.original.truth
    return {
        "pictures": len(truth),
        "judged_classes": [name for name, judged in zip(labels, pair.judged, strict=True) if judged],
        "needed_for_a_verdict": {
            "pixels": pair.settings.min_class_pixels,
            "pictures": pair.settings.min_class_pictures,
        },
        "mean_iou": {
            "original": plain(pair.mean_iou[0]),
            "artifact": plain(pair.mean_iou[1]),
            "original_interval_95": bounds[0],
            "artifact_interval_95": bounds[1],
            "drop_points": plain(pair.miou_drop),
            "drop_interval_95": bounds[2],
            "resamples": pair.settings.resamples,
        },
        "boundary_f": {
            "tolerance_share_of_diagonal": pair.settings.contour_share,
            "original": plain(pair.boundary_f[0]),
            "artifact": plain(pair.boundary_f[1]),
            "drop_points": plain(pair.boundary_drop),
        },
        "classes": {
            name: {
                "pixels": int(truth[:, index].sum()),
                "pictures": int((truth[:, index] > 0).sum()),
                "judged": bool(pair.judged[index]),
                "original_iou": plain(original[index]),
                "artifact_iou": plain(artifact[index]),
                "drop_points": plain(pair.class_drops[index]),
            }
            for index, name in enumerate(labels)
        },
    }
