"""Which object of an artifact is which of the original's.

Two files of one network find nearly the same masks, so an object's twin has an IoU near 1 with it. Pairs are taken by
falling IoU. An exact assignment, which makes the sum of all IoUs largest, would now and then give up a twin for two
worse pairs, and so hide an object that is missing. Pairs of one class come first: only what finds no twin of its own
class can have changed it.

A score near a threshold moves to its other side for a difference of any size, and the object is gone or there. Such an
object is not called missed or extra if its twin is among the other path's candidates, has nearly its score, and lies
on the other side of the *original's* threshold. A file that selects by another threshold has no such excuse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeseg_export.instances.parity.objects import Seen
from edgeseg_export.instances.parity.overlap import Shares, object_overlaps
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import content_size

MATCH_IOU = 0.5
"""Two objects with a smaller IoU are not the same one."""
SCORE_MARGIN = 0.05
"""Scores of twins on both sides of a threshold may differ by so much."""

Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Match:
    """The objects of one picture, n of the original and m of the artifact, of which k are pairs."""

    originals: int
    artifacts: int
    iou: Floats
    """(k,) IoU of the masks."""
    scores: Floats
    """(k, 2): the original's, the artifact's."""
    labels: npt.NDArray[np.intp]
    """(k, 2): the original's, the artifact's."""
    moves: Floats
    """(k, 4): by how many pixels of the model's input left, top, right and bottom lie further to the right or down."""
    missed: tuple[int, ...]
    """Objects of the original that the artifact lacks, without those at the threshold."""
    extra: tuple[int, ...]
    """Objects of the artifact that the original lacks, without those at the threshold."""
    at_threshold: int
    """Objects of either that the other has not, because the score lies on the other side of the threshold."""

    @property
    def agreement(self) -> float:
        """How alike both are, 0..1: the panoptic quality of the artifact with the original in the place of truth.

        Kirillov et al., "Panoptic Segmentation", CVPR 2019, arXiv:1801.00868, all classes as one: the IoUs of the pairs
        of one class over the pairs and half of what has no partner. Objects at the threshold count. 1 for no objects.
        """
        same = self.labels[:, 0] == self.labels[:, 1]
        total = (self.originals + self.artifacts) / 2
        return float(self.iou[same].sum() / total) if total else 1.0


def match(original: Seen, artifact: Seen, margin: float = SCORE_MARGIN) -> Match:
    """Pair the objects of one picture; `original.objects.contract` has the thresholds that excuse."""
    mine, theirs = original.objects, artifact.objects
    shares = object_overlaps(mine, theirs)
    pairs = pair(shares, mine, theirs)
    rows, columns = [row for row, _ in pairs], [column for _, column in pairs]
    alone = [index for index in range(len(mine)) if index not in rows]
    others = [index for index in range(len(theirs)) if index not in columns]
    missed = _without_twin(mine, alone, artifact.candidates, margin, mine.contract)
    extra = _without_twin(theirs, others, original.candidates, margin, mine.contract)
    return Match(
        originals=len(mine),
        artifacts=len(theirs),
        iou=np.array([shares[row, column] for row, column in pairs], np.float64),
        scores=np.stack([mine.scores[rows], theirs.scores[columns]], axis=1).astype(np.float64),
        labels=np.stack([mine.labels[rows], theirs.labels[columns]], axis=1).astype(np.intp),
        moves=(theirs.boxes[columns].astype(np.float64) - mine.boxes[rows]) * _input_pixels(mine),
        missed=missed,
        extra=extra,
        at_threshold=len(alone) + len(others) - len(missed) - len(extra),
    )


def pair(shares: Shares, mine: InstanceResult, theirs: InstanceResult) -> list[Pair]:
    """Return (row, column) of the pairs with at least MATCH_IOU: of one class first, then the others, falling IoU."""
    same = mine.labels[:, None] == theirs.labels[None, :]
    candidates = [(int(row), int(column)) for row, column in np.argwhere(shares >= MATCH_IOU)]
    candidates.sort(key=lambda place: (not same[place], -shares[place]))
    found: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in candidates:
        if row not in found and column not in taken:
            found[row] = column
            taken.add(column)
    return sorted(found.items())


def _without_twin(
    objects: InstanceResult, alone: list[int], candidates: InstanceResult, margin: float, contract: Contract
) -> tuple[int, ...]:
    """Return the objects of `alone` that no candidate excuses, each candidate excusing one."""
    assert contract.selection is not None
    thresholds = contract.selection.thresholds
    shares = object_overlaps(objects, candidates)[alone] if alone else np.zeros((0, len(candidates)))
    used: set[int] = set()
    left = []
    for row, index in enumerate(alone):
        label, score = int(objects.labels[index]), float(objects.scores[index])
        excuses = (
            place
            for place in np.argsort(-shares[row], kind="stable").tolist()
            if place not in used
            and shares[row, place] >= MATCH_IOU
            and candidates.labels[place] == label
            and candidates.scores[place] < thresholds[label] <= score
            and score - candidates.scores[place] <= margin
        )
        twin = next(excuses, None)
        if twin is None:
            left.append(index)
        else:
            used.add(twin)
    return tuple(left)


def _input_pixels(result: InstanceResult) -> Floats:
    """Return what one pixel of the frame is in the model's input, across and down, for each side of a box."""
    rows, columns = content_size(result.height, result.width, result.contract)
    across, down = columns / result.width, rows / result.height
    return np.array([across, down, across, down])
