"""One way into every data set of objects: recognise what a path or a name stands for, check it, open a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgeseg.data import coco, cvat, labelme, procedural, supervisely, yolo
from edgeseg.data import open as classes
from edgeseg.data.check import usable
from edgeseg.data.files import Layout, Problem, Unchecked
from edgeseg.data.instances import coco as coco_objects
from edgeseg.data.instances import pennfudan, voc
from edgeseg.data.instances.base import InstanceData
from edgeseg.data.instances.check import ObjectReport, check
from edgeseg.data.instances.files import ObjectLayout, ObjectSet, from_shapes
from edgeseg.data.instances.procedural import ProceduralObjects
from edgeseg.data.procedural import ProceduralSpec
from edgeseg.data.recognition import Format, filled_splits, find_folder, find_split, first_fit, fits_none
from edgeseg.data.voc import STEMS
from edgeseg_runtime.contract import Task
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.progress import Progress, silent


def _shapes(recognise: Callable[[Path], Layout | None], looked_for: str) -> Format[ObjectLayout]:
    """Return a format of shapes as one of objects."""

    def as_objects(root: Path) -> ObjectLayout | None:
        layout = recognise(root)
        return None if layout is None else from_shapes(layout, str(root))

    return Format(as_objects, looked_for)


# Tried in this order; the first that fits wins.
FORMATS: dict[str, Format[ObjectLayout]] = {
    "voc": Format(voc.recognise, voc.LOOKED_FOR, STEMS),
    "coco": Format(coco_objects.recognise, coco.LOOKED_FOR),
    "yolo": _shapes(yolo.recognise, yolo.LOOKED_FOR),
    "cvat": _shapes(cvat.recognise, cvat.LOOKED_FOR),
    "supervisely": _shapes(supervisely.recognise, supervisely.LOOKED_FOR),
    "labelme": _shapes(labelme.recognise, labelme.LOOKED_FOR),
    "pennfudan": Format(pennfudan.recognise, pennfudan.LOOKED_FOR),
}
NAMES = (procedural.NAME, *FORMATS)


def open_instances(
    spec: str, split: str, *, format: str = "auto", skip_bad: bool = False, progress: Progress = silent
) -> InstanceData:
    """Open `split` of the data set that `spec` names: a folder, or `procedural[:HEIGHTxWIDTH,n=COUNT,…]`.

    Every file is read once to check it. Pictures without objects belong to the set. Raises DatasetError: for an unknown
    format, a folder that fits none or does not tell objects apart, a split that is missing or empty, and, unless
    `skip_bad`, one report of all bad files.
    """
    if procedural.is_meant(spec, format):
        return ProceduralObjects(ProceduralSpec.parse(spec), split)
    layout = recognise(spec, format)
    data, unpaired = _object_set(layout, spec, split)
    report = check(data, unpaired, progress)
    good = usable(data, report, spec, split, skip_bad=skip_bad)
    return replace(good, description=_describe(layout, split, good, report))


def open_unchecked(spec: str, split: str, *, format: str = "auto") -> Unchecked[InstanceData]:
    """Open a split as `open_instances` does, but leave looking at the files to the reader. Raises DatasetError."""
    if procedural.is_meant(spec, format):
        return Unchecked(ProceduralObjects(ProceduralSpec.parse(spec), split))
    layout = recognise(spec, format)
    data, unpaired = _object_set(layout, spec, split)
    return Unchecked(replace(data, description=f"{layout.title}, {split}: {len(data)} pictures, unchecked"), unpaired)


def splits(spec: str, format: str = "auto") -> tuple[str, ...]:
    """Return the names of the splits that hold pictures."""
    if procedural.is_meant(spec, format):
        return classes.splits(spec, format)
    return filled_splits(recognise(spec, format))


def recognise(spec: str, format: str = "auto") -> ObjectLayout:
    """Return how the folder `spec` is laid out.

    Raises DatasetError saying which layouts were looked for, or that the one there is does not tell objects apart.
    """
    if format in classes.NAMES and format not in NAMES:
        raise DatasetError(f"the format {format} {_NO_OBJECTS}")
    if format not in ("auto", *NAMES):
        raise DatasetError(f"unknown data format {format!r}; known: auto, {', '.join(NAMES)}")
    root = find_folder(spec)
    layout = first_fit(root, FORMATS) if format == "auto" else FORMATS[format].recognise(root)
    if layout is not None:
        return layout
    if format == "auto" and (other := first_fit(root, classes.FORMATS)) is not None:
        raise DatasetError(f"{spec} was recognised as {other.title}, which {_NO_OBJECTS}")
    raise fits_none(spec, FORMATS if format == "auto" else {format: FORMATS[format]})


def task_of(spec: str, format: str = "auto") -> Task:
    """Return what a data set is read as where nobody says it: as classes of pixels, unless it can only be as objects.

    Raises DatasetError for a broken one.
    """
    if format != "auto":
        return "instance" if format in NAMES and format not in classes.NAMES else "semantic"
    if procedural.is_meant(spec, format) or not (root := Path(spec)).is_dir():
        return "semantic"
    only_objects = first_fit(root, classes.FORMATS) is None and first_fit(root, FORMATS) is not None
    return "instance" if only_objects else "semantic"


_NO_OBJECTS = f"tells classes apart, but not objects; formats that do: {', '.join(NAMES)}"


def _object_set(layout: ObjectLayout, spec: str, split: str) -> tuple[ObjectSet, tuple[Problem, ...]]:
    pairing = find_split(layout, spec, split)
    return ObjectSet(layout.labels, "", pairing.pairs, layout.read_objects), pairing.problems


def _describe(layout: ObjectLayout, split: str, good: ObjectSet, report: ObjectReport) -> str:
    counts = f"{_count(len(good), 'picture')}, {_count(sum(report.objects), 'object')}"
    text = f"{layout.title}, {split}: {counts}, {_count(len(layout.labels), 'class', 'classes')}"
    if report.crowds:
        text += f"; {_count(report.crowds, 'crowd')}"
    if report.empty:
        text += f"; {_count(report.empty, 'object')} without a pixel left out"
    if report.boxes_only:
        text += "; every object fills its box: these seem to be boxes, not masks"
    if report.problems:
        text += f"; {_count(len(report.problems), 'bad file')} left out"
    absent = [label.name for label, count in zip(layout.labels, report.objects, strict=True) if not count]
    if absent:
        more = f" and {len(absent) - classes.SHOWN} more" if len(absent) > classes.SHOWN else ""
        text += f"; no object of {', '.join(absent[: classes.SHOWN])}{more}"
    return text


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
