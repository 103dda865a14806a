"""Write any readable data set of objects in COCO's form.

    OUT/annotations/instances_SPLIT.json   categories, annotations (masks as RLE, exact), images
    OUT/images/SPLIT/NAME.jpg              the pictures, byte for byte; drawn ones as PNG

A data set of one undivided split is the split `default`, as other programs call it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from edgeseg.data.base import BadFileError
from edgeseg.data.convert import Written, write_whole
from edgeseg.data.files import Problem
from edgeseg.data.folder_files import Job, Pictures, put_picture
from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg.data.instances.collection import objects_of
from edgeseg.data.items import Collection, in_threads
from edgeseg.data.split_names import WHOLE
from edgeseg_runtime.instances.rle import to_coco
from edgeseg_runtime.progress import Progress, silent

DEFAULT = "default"
Json = dict[str, Any]


@dataclass(frozen=True)
class _Described:
    image: Json
    annotations: list[Json]


def write_coco(
    collection: Collection,
    assignment: Sequence[str | None],
    out: Path,
    *,
    pictures: Pictures = "copy",
    extra: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    workers: int = 4,
    progress: Progress = silent,
) -> Written:
    """Write the items of a collection of objects into a new folder that appears whole or not at all.

    `assignment` gives each item's split, None leaves it out. `extra` are text files to put into the folder, by name.

    Raises OutputError when `out` is there already, DatasetError when no picture is left and, unless `skip_bad`, with
    all files that cannot be used.
    """

    def write(root: Path, jobs: Sequence[Job]) -> tuple[Mapping[str, int], list[Problem]]:
        (root / "annotations").mkdir(parents=True)
        for name, text in (extra or {}).items():
            (root / name).write_text(text, encoding="utf-8")
        written: dict[str, int] = {}
        problems: list[Problem] = []
        for split in dict.fromkeys(job.split for job in jobs):
            own = [job for job in jobs if job.split == split]
            work = partial(_write_picture, root, pictures)
            found = in_threads(work, own, workers, progress, f"writing {split}", len(own))
            written[split], bad = _write_split(collection, root, split, found)
            problems += bad
        return written, problems

    return write_whole(collection, assignment, out, write, skip_bad=skip_bad)


def place(split: str) -> str:
    """Return what a split is called in file and folder names."""
    return DEFAULT if split == WHOLE else split


def _write_split(
    collection: Collection, root: Path, split: str, found: Iterable[_Described | Problem]
) -> tuple[int, list[Problem]]:
    """Write a split's annotation file; return how many pictures are in it, and what could not be used."""
    images: list[Json] = []
    problems: list[Problem] = []
    categories = [
        {"id": index, "name": label.name, "color": list(label.color)}
        for index, label in enumerate(collection.labels, 1)
    ]
    path = root / "annotations" / f"instances_{place(split)}.json"
    with path.open("w", encoding="utf-8") as handle:
        handle.write(f'{{"categories": {_text(categories)},\n"annotations": [')
        count = 0
        for each in found:
            if isinstance(each, Problem):
                problems.append(each)
                continue
            images.append({"id": len(images) + 1, **each.image})
            count = _write_annotations(handle, each.annotations, count, len(images))
        handle.write(f'],\n"images": {_text(images)}}}\n')
    return len(images), problems


def _write_annotations(handle: TextIO, annotations: Sequence[Json], count: int, image: int) -> int:
    """Write the annotations of a picture, `count` having been written before; return how many there are then."""
    for each in annotations:
        handle.write(",\n" if count else "\n")
        count += 1
        handle.write(_text({"id": count, "image_id": image, **each}))
    return count


def _write_picture(root: Path, pictures: Pictures, job: Job) -> _Described | Problem:
    """Write one picture and describe its objects, or return what is wrong with it."""
    try:
        sample = objects_of(job.item)
    except BadFileError as error:
        return Problem(error.path, error.reason)
    folder = root / "images" / place(job.split)
    folder.mkdir(parents=True, exist_ok=True)
    target = put_picture(job, sample.image, folder, pictures)
    height, width = sample.image.shape[:2]
    image = {"file_name": target.name, "height": height, "width": width}
    return _Described(image, [_annotation(each, sample) for each in sample.instances])


def _annotation(instance: Instance, sample: InstanceSample) -> Json:
    left, top, right, bottom = instance.box
    height, width = sample.image.shape[:2]
    return {
        "category_id": instance.label + 1,
        "bbox": [left, top, right - left, bottom - top],
        "area": instance.region.area,
        "iscrowd": int(instance.crowd),
        "segmentation": to_coco(instance.region, height, width),
    }


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
