"""One look at one labelled picture: all that the checks need, so that every file is read once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from edgeseg.data.base import BadFileError
from edgeseg.data.doctor.alignment import Alignment, alignment
from edgeseg.data.doctor.maskfacts import MaskFacts, mask_facts, stored_facts
from edgeseg.data.doctor.objectfacts import ObjectFacts, object_facts
from edgeseg.data.encoding import Encoding, read_encoding
from edgeseg.data.files import MaskFiles, Pair, Problem, ReadTruth, Size, check_size
from edgeseg.data.instances.base import InstanceData, InstanceSample
from edgeseg.data.instances.collection import ObjectsAsClasses, as_classes
from edgeseg.data.instances.files import ObjectSet
from edgeseg.data.instances.truth import Objects
from edgeseg.data.items import Collection, Item, in_threads
from edgeseg.data.jpeg_damage import can_look_for_damage, jpeg_damage
from edgeseg.data.likeness import Fingerprint, fingerprint
from edgeseg.data.masks import OUTSIDE, MaskReader
from edgeseg.data.pictures import read_picture, read_stored
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.progress import Progress

Fault = Literal["file", "size", "turned", "values"]


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen."""

    item: Item
    problem: Problem | None = None
    """Why it cannot be used."""
    fault: Fault | None = None
    """Which kind of problem that is."""
    size: Size | None = None
    """Height and width of the upright picture."""
    encoding: Encoding | None = None
    """None where there is no file, as for that of the mask."""
    mask_encoding: Encoding | None = None
    print: Fingerprint | None = None
    mask: MaskFacts | None = None
    alignment: Alignment | None = None
    objects: ObjectFacts | None = None
    """None where the truth is classes of pixels."""
    damage: str | None = None
    """What the decoder of a picture's file complained of."""


def look_at_all(collection: Collection, workers: int, progress: Progress) -> tuple[Look, ...]:
    """Look at every picture once, several at a time."""
    work = partial(look, read_truth=collection.read_truth)
    items = collection.items
    return tuple(in_threads(work, items, workers, progress, "looking at pictures", len(items)))


def look(item: Item, read_truth: ReadTruth | None) -> Look:
    """Look at one picture and its truth."""
    seen = _look(item, read_truth)
    if item.pair is None or seen.encoding is None or seen.encoding.kind != "jpeg" or not can_look_for_damage():
        return seen
    return replace(seen, damage=jpeg_damage(item.pair.image.read_bytes()))


def _look(item: Item, read_truth: ReadTruth | None) -> Look:
    if isinstance(item.data, ObjectsAsClasses):
        return _look_at_objects(item, item.data.objects)
    if item.pair is None or read_truth is None:
        sample = item.read()
        return _seen(item, sample.image, sample.mask, None, None, None)
    pair = item.pair
    try:
        image = read_picture(pair.image)
    except BadFileError as error:
        return Look(item, Problem(error.path, error.reason), "file")
    encoding = read_encoding(pair.image.read_bytes())
    if isinstance(read_truth, MaskFiles):
        return _look_at_mask_file(item, pair, image, encoding, read_truth.read)
    try:
        mask = read_truth(pair, (image.shape[0], image.shape[1]))
    except BadFileError as error:
        return _bad(item, image, encoding, None, Problem(error.path, error.reason), "file")
    return _seen(item, image, mask, encoding, None, None)


def _look_at_objects(item: Item, data: InstanceData) -> Look:
    encoding = None
    try:
        if item.pair is None or not isinstance(data, ObjectSet):
            sample = data.read(item.index)
            found = Objects(sample.instances)
        else:
            image = read_picture(item.pair.image)
            encoding = read_encoding(item.pair.image.read_bytes())
            found = data.read_objects(item.pair, (image.shape[0], image.shape[1]))
            sample = InstanceSample(image, found.instances)
    except BadFileError as error:
        return Look(item, Problem(error.path, error.reason), "file", encoding=encoding)
    return Look(
        item,
        size=(sample.image.shape[0], sample.image.shape[1]),
        encoding=encoding,
        print=fingerprint(sample.image),
        mask=mask_facts(as_classes(sample).mask, None),
        objects=object_facts(found),
    )


def _look_at_mask_file(item: Item, pair: Pair, image: Image, encoding: Encoding, reader: MaskReader) -> Look:
    bad = partial(_bad, item, image, encoding)
    try:
        stored = read_stored(pair.mask)
    except BadFileError as error:
        return bad(None, Problem(error.path, error.reason), "file")
    mask_encoding = read_encoding(pair.mask.read_bytes())
    height, width = stored.values.shape[:2]
    size = (image.shape[0], image.shape[1])
    try:
        check_size(pair.mask, (height, width), size)
    except BadFileError as error:
        turned = encoding.orientation > 4 and (width, height) == size
        return bad(mask_encoding, Problem(error.path, error.reason), "turned" if turned else "size")
    mask = reader.translate(stored)
    facts = mask_facts(mask, stored_facts(stored, mask, reader))
    if not (mask == OUTSIDE).any():
        return _seen(item, image, mask, encoding, mask_encoding, facts)
    try:
        reader(pair.mask)
    except BadFileError as error:
        return bad(mask_encoding, Problem(error.path, error.reason), "values", facts)
    raise RuntimeError(f"{pair.mask} changed while it was looked at")


def _seen(
    item: Item,
    image: Image,
    mask: Mask,
    encoding: Encoding | None,
    mask_encoding: Encoding | None,
    facts: MaskFacts | None,
) -> Look:
    return Look(
        item,
        size=(image.shape[0], image.shape[1]),
        encoding=encoding,
        mask_encoding=mask_encoding,
        print=fingerprint(image),
        mask=facts or mask_facts(mask, None),
        alignment=alignment(image, mask),
    )


def _bad(
    item: Item,
    image: Image,
    encoding: Encoding,
    mask_encoding: Encoding | None,
    problem: Problem,
    fault: Fault,
    facts: MaskFacts | None = None,
) -> Look:
    size = (image.shape[0], image.shape[1])
    return Look(item, problem, fault, size, encoding, mask_encoding, fingerprint(image), facts)
