"""What the objects of one picture are like."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from edgeseg.data.instances.base import Instance
from edgeseg.data.instances.truth import Objects, boxes_and_outlines
from edgeseg_runtime.instances.overlap import region_overlap

TINY = 16
"""Pixels below which an object is tiny: less than 4×4."""
TWICE = 0.9
"""IoU from which two objects of one class are taken for one that was labelled twice."""


@dataclass(frozen=True)
class ObjectFacts:
    """Counts of a picture. Crowds are no objects."""

    objects: int
    empty: int
    """Without a pixel, not among the objects."""
    tiny: int
    twice: int
    """Pairs that seem to be one object."""
    misfits: int
    """Whose box in the file is not that of their pixels."""
    boxes: int
    """Large enough to tell, and filling their box."""
    outlines: int
    """Large enough to tell, and not filling it."""


def object_facts(found: Objects) -> ObjectFacts:
    """Return the facts."""
    objects = [each for each in found.instances if not each.crowd]
    boxes, outlines = boxes_and_outlines(found)
    return ObjectFacts(
        len(objects),
        found.empty,
        sum(each.region.area < TINY for each in objects),
        sum(_is_twice(one, other) for one, other in combinations(objects, 2)),
        found.misfits,
        boxes,
        outlines,
    )


def _is_twice(one: Instance, other: Instance) -> bool:
    return one.label == other.label and region_overlap(one.region, other.region) >= TWICE
