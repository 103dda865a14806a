"""Objects as COCO has them (cocodataset.org, "Data format" and "Results format")."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import write_text
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.instances.rle import to_coco
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.objects.common import objects_of, result_of

RESULTS, ANNOTATIONS = "predictions.json", "annotations.json"
Objects = list[dict[str, Any]]


class CocoSink(Sink[Objects]):
    """Writes at the end `predictions.json`, a list of results, and `annotations.json`, a data set of the same objects.

    Category ids are class indices counted from 1. A picture's id is the number that is its name, as in COCO's own sets,
    if all of them have one, else its place counted from 1. Boxes are the model's, masks are exact (RLE).
    """

    name = "coco"
    backlog = 8

    def __init__(self, folder: Path, contract: Contract, pictures: Mapping[str, Path]) -> None:
        """`pictures`: the file of each frame, by the frame's name. Raises OutputError."""
        self._folder, self._contract, self._pictures = folder, contract, pictures
        self._ids = image_ids(list(pictures))
        self._images: Objects = []
        self._annotations: Objects = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written to: {error.strerror}") from error

    def encode(self, shot: Shot) -> Objects:
        """Describe the objects of a picture."""
        return [described for _, described in coco_objects(result_of(shot))]

    def write(self, shot: Shot, encoded: Objects) -> None:
        """Keep them until the end."""
        number, (height, width) = self._ids[shot.frame.name], shot.frame.image.shape[:2]
        name = self._pictures[shot.frame.name].name
        self._images.append({"id": number, "file_name": name, "height": height, "width": width})
        for described in encoded:
            self._annotations.append({"id": len(self._annotations) + 1, "image_id": number, "iscrowd": 0, **described})

    def close(self) -> None:
        """Write both files. Raises OutputError."""
        data_set = {
            "images": self._images,
            "annotations": self._annotations,
            "categories": coco_categories(self._contract),
        }
        wanted = ("image_id", "category_id", "bbox", "segmentation", "score")
        results = [{key: described[key] for key in wanted} for described in self._annotations]
        try:
            for name, content in ((RESULTS, results), (ANNOTATIONS, data_set)):
                write_text(self._folder / name, json.dumps(content, ensure_ascii=False, separators=(",", ":")))
        except OSError as error:
            raise OutputError(f"{self._folder} cannot be written to: {error.strerror}") from error


def coco_objects(result: InstanceResult) -> list[tuple[int, dict[str, Any]]]:
    """Return the place and the description of each object that has a pixel."""
    found = []
    for place, region in objects_of(result):
        left, top, right, bottom = (round(float(value), 3) for value in result.boxes[place])
        described = {
            "category_id": int(result.labels[place]) + 1,
            "bbox": [left, top, round(right - left, 3), round(bottom - top, 3)],
            "segmentation": to_coco(region, result.height, result.width),
            "area": region.area,
            "score": round(float(result.scores[place]), 6),
        }
        found.append((place, described))
    return found


def coco_categories(contract: Contract) -> list[dict[str, Any]]:
    """Return the classes; ids count from 1."""
    return [
        {"id": index + 1, "name": label.name, "color": list(label.color)} for index, label in enumerate(contract.labels)
    ]


def image_ids(names: Sequence[str]) -> dict[str, int]:
    """Return a number for each name: the name itself where every one is a number, and they differ, else its place."""
    if all(name.isascii() and name.isdecimal() for name in names):
        numbers = [int(name) for name in names]
        if len(set(numbers)) == len(numbers):
            return dict(zip(names, numbers, strict=True))
    return {name: place for place, name in enumerate(names, 1)}
