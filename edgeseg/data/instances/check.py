"""Look at every picture of a set and at its objects before work begins."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

from edgeseg.data.check import in_path_order, read_each
from edgeseg.data.files import Pair, Problem
from edgeseg.data.instances.files import ObjectSet
from edgeseg.data.instances.truth import Objects, boxes_and_outlines
from edgeseg.data.pictures import read_picture
from edgeseg_runtime.progress import Progress, silent


@dataclass(frozen=True)
class ObjectReport:
    """What a look at every file found."""

    problems: tuple[Problem, ...]
    bad_pairs: tuple[Pair, ...]
    """Pairs that cannot be used because of them."""
    objects: tuple[int, ...]
    """Of each class, in the good pairs; crowds are not counted."""
    crowds: int
    empty: int
    """Annotated objects that cover no pixel's centre."""
    boxes_only: bool
    """Whether every object that is large enough to tell fills its box: then boxes were drawn, not outlines."""


@dataclass(frozen=True)
class _Counts:
    labels: Counter[int]
    crowds: int
    empty: int
    boxes: int
    outlines: int


def check(data: ObjectSet, unpaired: tuple[Problem, ...] = (), progress: Progress = silent) -> ObjectReport:
    """Read every picture and its objects; `unpaired` are files already known to lack a partner."""
    problems, bad = list(unpaired), []
    labels, crowds, empty, boxes, outlines = Counter[int](), 0, 0, 0, 0
    for pair, found in read_each(data.pairs, partial(_count, data), progress):
        if isinstance(found, Problem):
            problems.append(found)
            bad.append(pair)
        else:
            labels += found.labels
            crowds += found.crowds
            empty += found.empty
            boxes += found.boxes
            outlines += found.outlines
    objects = tuple(labels[index] for index in range(len(data.labels)))
    return ObjectReport(in_path_order(problems), tuple(bad), objects, crowds, empty, boxes > 0 and not outlines)


def _count(data: ObjectSet, pair: Pair) -> _Counts:
    image = read_picture(pair.image)
    found: Objects = data.read_objects(pair, (image.shape[0], image.shape[1]))
    objects = [each for each in found.instances if not each.crowd]
    boxes, outlines = boxes_and_outlines(found)
    labels = Counter(each.label for each in objects)
    return _Counts(labels, len(found.instances) - len(objects), found.empty, boxes, outlines)
