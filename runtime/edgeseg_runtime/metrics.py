"""Segmentation metrics as accumulators over a confusion matrix: update, compute, reset. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.preprocess import Mask

Floats = npt.NDArray[np.float64]


def confusion_counts(truth: Mask, prediction: Mask, classes: int, ignore_index: int) -> npt.NDArray[np.int64]:
    """Return the (classes, classes) pixel counts: row = truth, column = prediction; ignored pixels are left out.

    Raises ValueError when the shapes differ or a label lies outside the table.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction is {prediction.shape}")
    valid = truth != ignore_index
    rows, columns = truth[valid].astype(np.int64), prediction[valid]
    if rows.size and max(int(rows.max()), int(columns.max())) >= classes:
        raise ValueError(f"a label lies outside the table of {classes} classes")
    return np.bincount(rows * classes + columns, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class Scores:
    """Metrics of one confusion matrix. Per-class arrays hold NaN where the class has nothing to measure."""

    confusion: npt.NDArray[np.int64]

    @property
    def iou(self) -> Floats:
        """Intersection over union per class; NaN where neither truth nor prediction has a pixel."""
        hits = np.diag(self.confusion)
        return _ratio(hits, self.confusion.sum(0) + self.confusion.sum(1) - hits)

    @property
    def mean_iou(self) -> float:
        """IoU averaged over the classes that have at least one pixel in truth or prediction; NaN with none."""
        return _mean(self.iou)

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels whose class is right."""
        return float(_ratio(np.diag(self.confusion).sum(), self.confusion.sum()))

    @property
    def precision(self) -> Floats:
        """Of the pixels called a class, the share that is it; NaN where none was called so."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(0))

    @property
    def recall(self) -> Floats:
        """Of a class's pixels, the share that was found; NaN where it has none."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(1))

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall (the Dice coefficient) per class."""
        return _ratio(2 * np.diag(self.confusion), self.confusion.sum(0) + self.confusion.sum(1))

    @property
    def mean_precision(self) -> float:
        """Precision averaged over the classes that have one."""
        return _mean(self.precision)

    @property
    def mean_recall(self) -> float:
        """Recall averaged over the classes that have one."""
        return _mean(self.recall)

    @property
    def mean_f1(self) -> float:
        """F1 averaged over the classes that have one."""
        return _mean(self.f1)

    def as_dict(self, names: tuple[str, ...]) -> dict[str, object]:
        """Return every metric as plain JSON values, None where there is nothing to measure."""
        per_class = {
            name: {
                "iou": _plain(self.iou[index]),
                "precision": _plain(self.precision[index]),
                "recall": _plain(self.recall[index]),
                "f1": _plain(self.f1[index]),
                "pixels": int(self.confusion.sum(1)[index]),
            }
            for index, name in enumerate(names)
        }
        return {
            "mean_iou": _plain(self.mean_iou),
            "pixel_accuracy": _plain(self.pixel_accuracy),
            "mean_precision": _plain(self.mean_precision),
            "mean_recall": _plain(self.mean_recall),
            "mean_f1": _plain(self.mean_f1),
            "classes": per_class,
            "confusion": self.confusion.tolist(),
        }


class ConfusionMatrix:
    """Accumulates pixel counts over pictures."""

    def __init__(self, classes: int, ignore_index: int) -> None:
        self.classes, self.ignore_index = classes, ignore_index
        self.counts = np.zeros((classes, classes), np.int64)

    def update(self, truth: Mask, prediction: Mask) -> None:
        """Add one picture (or a batch of equal shapes)."""
        self.counts += confusion_counts(truth, prediction, self.classes, self.ignore_index)

    def compute(self) -> Scores:
        """Return the metrics of everything added so far."""
        return Scores(self.counts.copy())

    def reset(self) -> None:
        """Forget everything."""
        self.counts[:] = 0


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
