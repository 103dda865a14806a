"""Data sets of pictures whose truth tells objects apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeseg.data.drawn import PaintedTruth
from edgeseg.data.files import FileSet, Layout, Pairing
from edgeseg.data.instances.base import InstanceSample
from edgeseg.data.instances.truth import ReadObjects, ShapeObjects
from edgeseg.data.pictures import read_picture
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError


@dataclass(frozen=True)
class ObjectLayout:
    """A recognised data set on disk."""

    title: str
    """What it was recognised as."""
    labels: tuple[Label, ...]
    """Kinds of things, without background."""
    read_objects: ReadObjects
    splits: dict[str, Pairing]
    closed: Mapping[str, str] = field(default_factory=dict)
    """Splits whose truth is not public, and what to say of them."""


@dataclass(frozen=True)
class ObjectSet(FileSet):
    """One split of a layout: an `InstanceData`."""

    read_objects: ReadObjects

    def read(self, index: int) -> InstanceSample:
        """Read picture and objects. Raises BadFileError."""
        pair = self.pairs[index]
        image = read_picture(pair.image)
        return InstanceSample(image, self.read_objects(pair, (image.shape[0], image.shape[1])).instances)


def from_shapes(layout: Layout, source: str) -> ObjectLayout:
    """Return a layout of shapes as one of objects: its classes without the background.

    Raises DatasetError, naming the folder `source`, where no class is left.
    """
    truth = layout.read_truth
    assert isinstance(truth, PaintedTruth), f"{layout.title} has no shapes"
    kept = [index for index in range(len(layout.labels)) if index != truth.background]
    if not kept:
        raise DatasetError(f"{source} ({layout.title}): no class but the background is named")
    labels = tuple(layout.labels[index] for index in kept)
    objects = ShapeObjects(truth.shapes, {index: place for place, index in enumerate(kept)})
    return ObjectLayout(layout.title, labels, objects, layout.splits, layout.closed)
