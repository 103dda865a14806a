"""Objects, true and found, as COCO's evaluation reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgeseg.data.instances.base import InstanceData, InstanceSample
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.rle import to_coco
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress

Entry = dict[str, Any]


class FoundObjects(Protocol):
    """What is looked at of an InstanceResult, and of whatever else finds objects."""

    @property
    def boxes(self) -> npt.NDArray[np.float32]:
        """(n, 4): left, top, right, bottom in pixels of the frame."""
        ...

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """(n,) in 0..1."""
        ...

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        """(n,) class indices."""
        ...

    @property
    def regions(self) -> Sequence[Region]:
        """Each object's pixels."""
        ...


@dataclass(frozen=True)
class CocoTables:
    """A data set and what was found in it, as pycocotools' COCO objects. Classes, pictures and objects count from 1."""

    truth: Any
    found: dict[Literal["segm", "bbox"], Any]
    """The same objects twice: with the area of their masks, and with that of their boxes, as COCO measures them."""
    objects: int
    """True ones that are no crowds."""


def collect(
    predict: Callable[[Image], FoundObjects], data: InstanceData, classes: int, progress: Progress
) -> CocoTables:
    """Return the objects of each picture of `data` and what `predict` finds in it."""
    truth: list[Entry] = []
    found: list[Entry] = []
    sizes: list[tuple[int, ...]] = []
    for index in progress(range(len(data)), "scoring", len(data)):
        sample = data.read(index)
        sizes.append(sample.image.shape[:2])
        truth += [{"image_id": index + 1, **entry} for entry in _true_objects(sample)]
        seen = _found_objects(predict(sample.image), sizes[-1])
        found += [{"image_id": index + 1, **entry} for entry in seen]
    boxes = [{**entry, "area": entry["bbox"][2] * entry["bbox"][3]} for entry in found]
    return CocoTables(
        _table(truth, sizes, classes),
        {"segm": _table(found, sizes, classes), "bbox": _table(boxes, sizes, classes)},
        sum(not entry["iscrowd"] for entry in truth),
    )


def _true_objects(sample: InstanceSample) -> Iterator[Entry]:
    for one in sample.instances:
        yield {
            "category_id": one.label + 1,
            "bbox": _corner_and_size(one.box),
            "segmentation": to_coco(one.region, *sample.image.shape[:2]),
            "area": one.region.area,
            "iscrowd": int(one.crowd),
        }


def _found_objects(result: FoundObjects, size: tuple[int, ...]) -> Iterator[Entry]:
    for label, score, box, region in zip(result.labels, result.scores, result.boxes, result.regions, strict=True):
        yield {
            "category_id": int(label) + 1,
            "bbox": _corner_and_size(box),
            "segmentation": to_coco(region, *size),
            "area": region.area,
            "score": float(score),
        }


def _corner_and_size(box: Iterable[float]) -> list[float]:
    left, top, right, bottom = (float(value) for value in box)
    return [left, top, right - left, bottom - top]


def _table(entries: list[Entry], sizes: Iterable[tuple[int, ...]], classes: int) -> Any:
    """Return a COCO object that was not read from a file."""
    from pycocotools.coco import COCO

    table = COCO()
    # a match is told by the object's number, where 0 means none
    annotations = [{"id": number, **entry} for number, entry in enumerate(entries, 1)]
    table.dataset = {
        "images": [{"id": number, "height": size[0], "width": size[1]} for number, size in enumerate(sizes, 1)],
        "categories": [{"id": number} for number in range(1, classes + 1)],
        "annotations": annotations,
    }
    with redirect_stdout(StringIO()):  # it tells that it makes an index
        table.createIndex()
    return table
