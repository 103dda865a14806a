"""Every picture of every split of a data set of objects: what is checked, divided and converted as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeseg.data import procedural
from edgeseg.data.base import IGNORE, Sample
from edgeseg.data.instances.base import InstanceData, InstanceSample
from edgeseg.data.instances.files import ObjectLayout, ObjectSet
from edgeseg.data.instances.open import recognise
from edgeseg.data.instances.procedural import ProceduralObjects
from edgeseg.data.items import Collection, Item, chosen_splits, without_unions
from edgeseg_runtime.contract import Label
from edgeseg_runtime.instances.region import paint


class ObjectsAsClasses:
    """A set of objects as one of classes, for what works on these; pixels of no object have none, crowds neither."""

    def __init__(self, objects: InstanceData) -> None:
        self.objects = objects

    @property
    def labels(self) -> tuple[Label, ...]:
        """The kinds of objects."""
        return self.objects.labels

    @property
    def description(self) -> str:
        """What the set of objects is."""
        return self.objects.description

    def __len__(self) -> int:
        return len(self.objects)

    def name(self, index: int) -> str:
        """Return the name of picture `index`."""
        return self.objects.name(index)

    def read(self, index: int) -> Sample:
        """Return picture `index` and its mask, small objects on top. Raises DatasetError."""
        return as_classes(self.objects.read(index))


def as_classes(sample: InstanceSample) -> Sample:
    """Return a picture with the classes of its objects, small ones on top; IGNORE where there is none."""
    objects = sorted((each for each in sample.instances if not each.crowd), key=lambda each: each.region.area)
    mask = np.full(sample.image.shape[:2], IGNORE, np.uint8)
    return Sample(sample.image, paint(mask, [each.region for each in objects], [each.label for each in objects]))


def open_objects(spec: str, *, format: str = "auto", splits: Sequence[str] = ()) -> Collection:
    """Find every picture of `splits` of the data set of objects that `spec` names, without reading any.

    Where none is named: all, but for those that only repeat others. Items are read as classes; `objects_of` reads
    their objects. Raises DatasetError as `recognise` does, and for a split that is not there.
    """
    if procedural.is_meant(spec, format):
        parsed = procedural.ProceduralSpec.parse(spec)
        wanted = chosen_splits(spec, splits, tuple(procedural.SPLITS))
        sets = {split: ObjectsAsClasses(ProceduralObjects(parsed, split)) for split in wanted}
        items = tuple(Item(split, data, index, None) for split, data in sets.items() for index in range(len(data)))
        labels = next(iter(sets.values())).labels
        return Collection(spec, "built-in street scenes", labels, items, dict.fromkeys(wanted, ()), None)
    layout = recognise(spec, format)
    filled = tuple(split for split, pairing in layout.splits.items() if pairing.pairs or pairing.problems)
    return _stored(spec, layout, chosen_splits(spec, splits, filled if splits else without_unions(layout, filled)))


def objects_of(item: Item) -> InstanceSample:
    """Read the picture and the objects of an item of `open_objects`. Raises DatasetError."""
    assert isinstance(item.data, ObjectsAsClasses), "the item is of classes"
    return item.data.objects.read(item.index)


def _stored(spec: str, layout: ObjectLayout, splits: tuple[str, ...]) -> Collection:
    items = []
    for split in splits:
        pairs = layout.splits[split].pairs
        data = ObjectsAsClasses(ObjectSet(layout.labels, "", pairs, layout.read_objects))
        items += [Item(split, data, index, pair) for index, pair in enumerate(pairs)]
    problems = {split: layout.splits[split].problems for split in splits}
    return Collection(spec, layout.title, layout.labels, tuple(items), problems, None)
