"""The files of a folder of pictures and masks: their names, their places, what is in them."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2

from edgeseg.data.base import BadFileError
from edgeseg.data.files import Problem, read_pair
from edgeseg.data.indexed_png import indexed_png
from edgeseg.data.items import Collection, Item, in_threads
from edgeseg.data.split_names import WHOLE
from edgeseg_runtime.contract import Label
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress

Pictures = Literal["copy", "link"]
"""What becomes of picture files."""


@dataclass(frozen=True, eq=False)
class Job:
    """A picture to write."""

    item: Item
    split: str
    name: str


def name_jobs(items: Sequence[Item], assignment: Sequence[str | None]) -> list[Job]:
    """Name every picture; where a split has a name twice, the folder is put before it, then a number behind."""
    chosen = [(item, split) for item, split in zip(items, assignment, strict=True) if split is not None]
    uses = Counter((split, item.name.lower()) for item, split in chosen)
    jobs, taken = [], set()
    for item, split in chosen:
        name = item.name
        if uses[split, name.lower()] > 1 and item.pair is not None:
            name = f"{item.pair.image.parent.name}_{name}"
        base, number = name, 1
        while (split, name.lower()) in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add((split, name.lower()))
        jobs.append(Job(item, split, name))
    return jobs


def fill(
    collection: Collection,
    jobs: Sequence[Job],
    root: Path,
    pictures: Pictures,
    extra: Mapping[str, str],
    workers: int,
    progress: Progress,
) -> tuple[Counter[str], list[Problem]]:
    """Write everything into `root`; return how many pictures each split was given, and what could not be used."""
    root.mkdir()
    for split in dict.fromkeys(job.split for job in jobs):
        for kind in ("images", "masks"):
            _place(root, kind, split).mkdir(parents=True)
    for name, text in {"classes.csv": class_table(collection.labels), **extra}.items():
        (root / name).write_text(text, encoding="utf-8")
    written: Counter[str] = Counter()
    problems = []
    work = partial(_write, collection, root, pictures)
    for job, problem in zip(jobs, in_threads(work, jobs, workers, progress, "writing", len(jobs)), strict=True):
        if problem is None:
            written[job.split] += 1
        else:
            problems.append(problem)
    return written, problems


def class_table(labels: Sequence[Label]) -> str:
    """Return classes.csv; a colour that an earlier class has is left to the masks' palette."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("name", "index", "r", "g", "b", "ignore"))
    seen = set()
    for index, label in enumerate(labels):
        color = ("", "", "") if label.color in seen else label.color
        seen.add(label.color)
        table.writerow((label.name, index, *color, 0))
    return text.getvalue()


def _place(root: Path, kind: str, split: str) -> Path:
    return root / kind if split == WHOLE else root / kind / split


def put_picture(job: Job, image: Image, folder: Path, pictures: Pictures) -> Path:
    """Put a picture into a folder: its file, or a PNG of `image` where there is none; return where it is."""
    pair = job.item.pair
    target = folder / f"{job.name}{'.png' if pair is None else pair.image.suffix.lower()}"
    if pair is None:
        target.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    elif pictures == "link":
        target.symlink_to(os.path.abspath(pair.image))  # noqa: PTH100 - resolve() would follow the data set's links
    else:
        shutil.copyfile(pair.image, target)
    return target


def _write(collection: Collection, root: Path, pictures: Pictures, job: Job) -> Problem | None:
    """Write one picture and its mask, or return what is wrong with it."""
    images, masks = _place(root, "images", job.split), _place(root, "masks", job.split)
    pair = job.item.pair
    if pair is None or collection.read_truth is None:
        sample = job.item.read()
    else:
        try:
            sample = read_pair(pair, collection.read_truth)
        except BadFileError as error:
            return Problem(error.path, error.reason)
    put_picture(job, sample.image, images, pictures)
    colors = [label.color for label in collection.labels]
    (masks / f"{job.name}.png").write_bytes(indexed_png(sample.mask, colors))
    return None
