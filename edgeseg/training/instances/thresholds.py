"""From which score on a found object should count: where precision and recall are best together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNSCORED = 0.5
"""Threshold of a class of which nothing right was found, or nothing is there to be found."""


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """What was found of a class, in all pictures; what lies in crowds is left out."""

    scores: npt.NDArray[np.float64]
    """(n,) in any order."""
    right: npt.NDArray[np.bool_]
    """(n,) whether it is one of the true objects, which are found once each, by the surest."""
    objects: int
    """True ones."""


@dataclass(frozen=True)
class OperatingPoint:
    """How a class does at one score threshold."""

    threshold: float
    precision: float
    """Of what is found, the share that is right; NaN where nothing is found."""
    recall: float
    """Of the objects, the share that is found; NaN where there are none."""
    f1: float
    """Harmonic mean of the two; NaN where nothing is found and nothing is there."""
    objects: int


def operating_point(found: ClassMatches, threshold: float) -> OperatingPoint:
    """Return how a class does when objects need a score of at least `threshold`.

    That leaves the matches of the others as they are: COCO lets the surest choose first. With thresholds of its own for
    each class a device may also take a candidate that misses its likeliest class's for an object of the second; such
    ones are not counted here.
    """
    kept = found.scores >= threshold
    right, told = int(np.count_nonzero(found.right & kept)), int(np.count_nonzero(kept))
    return OperatingPoint(
        threshold,
        _share(right, told),
        _share(right, found.objects),
        _share(2 * right, told + found.objects),
        found.objects,
    )


def best_threshold(found: ClassMatches, floor: float) -> float:
    """Return the score threshold with the highest F1, of several the highest; UNSCORED where none is above 0.

    It lies half way between the last score that counts and the next lower one, or `floor`: an exported file's scores
    differ in their last digits, and no object of these pictures should depend on them.
    """
    order = np.argsort(-found.scores, kind="stable")
    scores = found.scores[order]
    right = np.cumsum(found.right[order])
    if not found.objects or not right.size or not right[-1]:
        return UNSCORED
    f1 = 2 * right / (np.arange(1, len(right) + 1) + found.objects)
    last = np.append(scores[1:] < scores[:-1], True)  # equal scores count together
    best = int(np.argmax(np.where(last, f1, -1)))
    lower = scores[best + 1] if best + 1 < len(scores) else min(floor, scores[best])
    return float((scores[best] + lower) / 2)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
