"""Scoring objects: average precision of masks and boxes by COCO's own program, and how well the best thresholds do.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, arXiv:1405.0312; cocodataset.org, "Detection
evaluation". Objects are found at the picture's own size. A crowd is neither missed nor learnt from, and what is found
in it is not counted as wrong. Small is an area below 32² pixels, large one above 96².
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgeseg.data.instances.base import InstanceData
from edgeseg.training.evaluate import check_classes
from edgeseg.training.instances.annotations import CocoTables, FoundObjects, collect
from edgeseg.training.instances.thresholds import ClassMatches, OperatingPoint, best_threshold, operating_point
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.extras import require
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent

FLOOR = 0.05
"""Score from which an object counts as found when precision is averaged over all thresholds."""
MATCHED = 0.5
"""Mask IoU from which a found object is the true one, where precision, recall and F1 are told at one threshold."""
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)  # COCO's area ranges, in its order
_HALF, _THREE_QUARTERS = 0, 5  # places of 0.5 and 0.75 among its IoU thresholds
_MOST = -1  # place of the largest number of objects a picture, 100


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision, 0..1, over IoU thresholds 0.5, 0.55, … 0.95; NaN where there is no such object."""

    ap: float
    ap50: float
    """At an IoU of 0.5 alone."""
    ap75: float
    small: float
    medium: float
    large: float
    classes: tuple[float, ...]
    """Of each class."""

    @classmethod
    def of(cls, precision: npt.NDArray[np.float64]) -> AveragePrecision:
        """Average COCO's (IoU thresholds, recalls, classes, areas, numbers of objects) table, -1 where nothing is."""
        table = precision[..., _MOST]
        every = table[..., _ALL]
        return cls(
            ap=_mean(every),
            ap50=_mean(every[_HALF]),
            ap75=_mean(every[_THREE_QUARTERS]),
            small=_mean(table[..., _SMALL]),
            medium=_mean(table[..., _MEDIUM]),
            large=_mean(table[..., _LARGE]),
            classes=tuple(_mean(every[:, :, index]) for index in range(every.shape[2])),
        )

    def numbers(self, prefix: str) -> dict[str, float]:
        """Return the averages over classes under flat names: `mask_ap`, `mask_ap50`, `mask_ap_small`, …"""
        sizes = {f"{prefix}_ap_{size}": getattr(self, size) for size in ("small", "medium", "large")}
        return {f"{prefix}_ap": self.ap, f"{prefix}_ap50": self.ap50, f"{prefix}_ap75": self.ap75, **sizes}


@dataclass(frozen=True)
class InstanceScores:
    """How well objects are found."""

    mask: AveragePrecision
    """By the IoU of masks."""
    box: AveragePrecision
    """By the IoU of boxes."""
    points: tuple[OperatingPoint, ...]
    """Of each class, at one score threshold and a mask IoU of 0.5."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Each class's score threshold."""
        return tuple(point.threshold for point in self.points)

    def numbers(self) -> dict[str, float]:
        """Return what is averaged over classes, under flat names; NaN where there is nothing to average."""
        means = {
            f"mean_{name}": _mean(np.array([getattr(point, name) for point in self.points]))
            for name in ("precision", "recall", "f1")
        }
        return {**self.mask.numbers("mask"), **self.box.numbers("box"), **means}

    def as_dict(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return every metric as plain JSON values, None where there is nothing to measure."""
        per_class = {
            name: {"mask_ap": _plain(mask), "box_ap": _plain(box)}
            | {key: _plain(value) for key, value in asdict(point).items()}
            for name, mask, box, point in zip(names, self.mask.classes, self.box.classes, self.points, strict=True)
        }
        return {**{name: _plain(value) for name, value in self.numbers().items()}, "classes": per_class}


def evaluate_instances(
    predict: Callable[[Image], FoundObjects],
    data: InstanceData,
    names: tuple[str, ...],
    progress: Progress = silent,
    *,
    thresholds: Sequence[float] | None = None,
) -> InstanceScores:
    """Return the scores of `predict`, a map from a BGR frame to the objects in it down to the score FLOOR.

    Precision, recall and F1 are told at `thresholds`, one a class, or where F1 is best if none are given. Raises
    DatasetError when the data's classes are not the model's, or no object is in any picture.
    """
    require("pycocotools", "train")
    check_classes(data, names)
    tables = collect(predict, data, len(names), progress)
    if not tables.objects:
        raise DatasetError(f"there is nothing to score: none of the {len(data)} pictures has an object")
    masks, boxes = (_evaluated(tables, kind) for kind in ("segm", "bbox"))
    matches = _matches(masks, len(names), len(data))
    chosen = [best_threshold(found, FLOOR) for found in matches] if thresholds is None else thresholds
    return InstanceScores(
        AveragePrecision.of(masks.eval["precision"]),
        AveragePrecision.of(boxes.eval["precision"]),
        tuple(operating_point(found, value) for found, value in zip(matches, chosen, strict=True)),
    )


def _evaluated(tables: CocoTables, kind: Literal["segm", "bbox"]) -> Any:
    """Return a COCOeval that has compared what was found with the truth."""
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(StringIO()):  # it tells at length what it does
        evaluation = COCOeval(tables.truth, tables.found[kind], kind)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _matches(evaluation: Any, classes: int, pictures: int) -> list[ClassMatches]:
    """Return which of each class's found objects are true ones at an IoU of MATCHED, objects of every size."""
    areas = len(evaluation.params.areaRng)
    found = []
    for index in range(classes):
        first = (index * areas + _ALL) * pictures
        seen = [one for one in evaluation.evalImgs[first : first + pictures] if one is not None]
        counted = [~one["dtIgnore"][_HALF].astype(bool) for one in seen]
        found.append(
            ClassMatches(
                _joined([np.array(one["dtScores"])[keep] for one, keep in zip(seen, counted, strict=True)], np.float64),
                _joined([one["dtMatches"][_HALF][keep] > 0 for one, keep in zip(seen, counted, strict=True)], np.bool_),
                sum(int(np.count_nonzero(one["gtIgnore"] == 0)) for one in seen),
            )
        )
    return found


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate([np.empty(0, kind), *(part.astype(kind) for part in parts)])


def _mean(values: npt.NDArray[np.float64]) -> float:
    """Average what is there: COCO writes -1 where nothing is, others NaN."""
    there = values[values > -1]
    return float(there.mean()) if there.size else float("nan")


def _plain(value: float) -> float | None:
    return None if value != value else value
