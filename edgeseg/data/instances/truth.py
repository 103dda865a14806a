"""From what an annotation file holds to the objects of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from edgeseg.data.base import IGNORE
from edgeseg.data.drawn import Drawn, ReadShapes
from edgeseg.data.files import Pair, Size
from edgeseg.data.instances.base import Instance
from edgeseg.data.instances.regions import tight
from edgeseg.data.polygons import union

_OFF, _OFF_SHARE = 5.0, 0.1
"""Pixels, and share of the longer side, that a box may be off: outlines are simplified, and boxes rounded."""
_TELLING = 64
"""Pixels of a box from which on an outlined object does not fill it by chance."""


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of a picture."""

    instances: tuple[Instance, ...]
    empty: int = 0
    """Objects that are annotated, but cover no pixel's centre."""
    misfits: int = 0
    """Objects whose box in the file is not that of their pixels."""


class ReadObjects(Protocol):
    """Reads the objects of a pair whose upright picture has `size`. A class, so that workers can be sent one."""

    def __call__(self, pair: Pair, size: Size) -> Objects:
        """Return the objects in the file's order. Raises BadFileError."""
        ...


@dataclass(frozen=True)
class ShapeObjects:
    """Makes objects of shapes: each is one, or all those of one class and group are.

    Objects may overlap, as their shapes do. An area to ignore becomes a crowd of every class.
    """

    shapes: ReadShapes
    labels: Mapping[int, int]
    """An object's label by the shape's; shapes of other classes, such as background, are no objects."""

    def __call__(self, pair: Pair, size: Size) -> Objects:
        """Draw the objects. Raises BadFileError, naming the shape."""
        shapes = self.shapes(pair, size)
        return replace(gathered(self._objects(shapes)), misfits=sum(not _fits(shape) for shape in shapes))

    def _objects(self, shapes: Iterable[Drawn]) -> Iterable[Instance]:
        groups: dict[tuple[int, str], list[Drawn]] = {}
        for number, shape in enumerate(shapes):
            groups.setdefault((shape.label, f"group {shape.group}" if shape.group else str(number)), []).append(shape)
        for (label, _), members in groups.items():
            region = union([shape.region for shape in members])
            if label == IGNORE:
                yield from (Instance(index, region, crowd=True) for index in self.labels.values())
            elif label in self.labels:
                yield Instance(self.labels[label], region, any(shape.crowd for shape in members))


def boxes_and_outlines(found: Objects) -> tuple[int, int]:
    """Return how many objects fill their box and how many do not, of those that are large enough to tell."""
    telling = [each.region for each in found.instances if not each.crowd and each.region.inside.size >= _TELLING]
    boxes = sum(bool(region.inside.all()) for region in telling)
    return boxes, len(telling) - boxes


def _fits(shape: Drawn) -> bool:
    """Return whether the box that the file gives is about that of the pixels. Crowds' often are not, by custom."""
    if shape.box is None or shape.crowd or not shape.region.inside.any():
        return True
    ours = Instance(shape.label, shape.region).box
    off = max(abs(a - b) for a, b in zip(shape.box, ours, strict=True))
    return off <= max(_OFF, _OFF_SHARE * max(ours[2] - ours[0], ours[3] - ours[1]))


def gathered(found: Iterable[Instance]) -> Objects:
    """Return the objects that have pixels, in the smallest box that holds them, and how many have none."""
    instances, empty = [], 0
    for instance in found:
        region = tight(instance.region)
        if region.inside.size:
            instances.append(Instance(instance.label, region, instance.crowd))
        else:
            empty += not instance.crowd
    return Objects(tuple(instances), empty)
