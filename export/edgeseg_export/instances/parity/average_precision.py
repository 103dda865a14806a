"""Mask average precision against the truth, kept as matches a picture, so that pictures can be drawn anew.

The average precision of COCO (Lin et al., "Microsoft COCO", ECCV 2014): precision at 101 recalls, averaged over IoUs of
.5 to .95 in steps of .05, objects of all sizes, 100 detections a picture. Who matches whom is pycocotools' word; the
curve is computed here, because pycocotools cannot weigh pictures.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgeseg_export.instances.parity.objects import TrueObject
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.instances.rle import to_coco

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
RECALLS = np.linspace(0, 1, 101)
IOUS = 10
DETECTIONS = 100


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """How the candidates of one class on one picture, the surest first, match what is there."""

    scores: Floats
    """(d,)."""
    right: Flags
    """(IOUS, d): whether it is a true object."""
    ignored: Flags
    """(IOUS, d): whether it counts neither as right nor as wrong, as in a crowd."""
    positives: int
    """True objects, without crowds."""


def match_truth(truth: Sequence[TrueObject], found: InstanceResult, classes: int) -> tuple[ClassMatches, ...]:
    """Match the candidates of one picture with its true objects, class by class."""
    size = {"height": found.height, "width": found.width}
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": each.label,
            "iscrowd": int(each.crowd),
            "area": each.region.area,
            "segmentation": to_coco(each.region, found.height, found.width),
        }
        for number, each in enumerate(truth, 1)
    ]
    results = [
        {
            "image_id": 1,
            "category_id": int(label),
            "score": float(score),
            "segmentation": to_coco(region, found.height, found.width),
        }
        for label, score, region in zip(found.labels, found.scores, found.regions, strict=True)
    ]
    evaluation = _evaluate({"id": 1, **size}, annotations, results, classes)
    return tuple(_class_matches(each) for each in evaluation.evalImgs)


def _evaluate(image: dict[str, int], annotations: list[Any], results: list[Any], classes: int) -> Any:
    truth = COCO()
    truth.dataset = {
        "images": [image],
        "annotations": annotations,
        "categories": [{"id": index} for index in range(classes)],
    }
    with redirect_stdout(io.StringIO()):  # it tells of each step
        truth.createIndex()
        found = COCO()
        if results:
            found = truth.loadRes(results)
        else:
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "segm")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [DETECTIONS]
        evaluation.evaluate()
    return evaluation


def _class_matches(each: dict[str, Any] | None) -> ClassMatches:
    if each is None:  # neither true objects nor candidates
        nothing = np.zeros((IOUS, 0), np.bool_)
        return ClassMatches(np.zeros(0), nothing, nothing, 0)
    ignored = np.asarray(each["dtIgnore"], np.bool_).reshape(IOUS, -1)
    matched = np.asarray(each["dtMatches"]).reshape(IOUS, -1) > 0
    positives = int(np.count_nonzero(np.asarray(each["gtIgnore"]) == 0))
    return ClassMatches(np.asarray(each["dtScores"], np.float64), matched & ~ignored, ignored, positives)


@dataclass(frozen=True, eq=False)
class InstanceAccuracy:
    """The candidates of one path on n pictures against the truth."""

    rows: tuple[tuple[ClassMatches, ...], ...]
    """What `match_truth` gave for each picture."""

    @property
    def positives(self) -> npt.NDArray[np.int64]:
        """(n, classes): true objects, without crowds."""
        return np.array([[each.positives for each in row] for row in self.rows], np.int64)

    def class_ap(self, weights: Floats | None = None) -> Floats:
        """Return the average precision per class (classes,), 0..1; with weights (resamples, n), one row a resample.

        NaN for a class without a true object on the pictures that weigh something.
        """
        rows = np.ones((1, len(self.rows))) if weights is None else weights
        columns = [self._one_class(index, rows) for index in range(len(self.rows[0]))]
        found = np.stack(columns, axis=1)
        return found[0] if weights is None else found

    def mean_ap(self, weights: Floats | None = None) -> Floats:
        """Return the mean over the classes that have one; NaN where none has."""
        return _mean(self.class_ap(weights))

    def _one_class(self, index: int, weights: Floats) -> Floats:
        """Return the average precision of one class for each row of weights."""
        own = [row[index] for row in self.rows]
        scores = np.concatenate([each.scores for each in own])
        order = np.argsort(-scores, kind="stable")
        picture = np.repeat(np.arange(len(own)), [len(each.scores) for each in own])[order]
        right = np.concatenate([each.right for each in own], axis=1)[:, order]
        counted = ~np.concatenate([each.ignored for each in own], axis=1)[:, order]
        positives = weights @ np.array([each.positives for each in own], np.float64)
        return np.array(
            [
                _area(right, counted, weight[picture], total) if total else np.nan
                for weight, total in zip(weights, positives, strict=True)
            ]
        )


def _area(right: Flags, counted: Flags, weights: Floats, positives: float) -> float:
    """Return the mean precision over RECALLS and IoUs of (IOUS, d) detections, falling scores, each of a weight."""
    hits = np.cumsum(right * weights, axis=1)
    seen = np.cumsum(counted * weights, axis=1)
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    total = 0.0
    for recall, best in zip(hits / positives, highest, strict=True):
        places = np.searchsorted(recall, RECALLS, side="left")
        total += best[places[places < len(best)]].sum()
    return float(total / (len(RECALLS) * len(right)))


def _mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    count = known.sum(-1)
    total = np.where(known, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
