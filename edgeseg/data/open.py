"""One way into every data set: recognise what a path or a name stands for, look at its files, open a split."""

from __future__ import annotations

from dataclasses import replace

from edgeseg.data import (
    ade20k,
    camvid,
    cityscapes,
    coco,
    cvat,
    folder,
    labelme,
    pets,
    procedural,
    sbd,
    supervisely,
    voc,
    yolo,
)
from edgeseg.data.base import SegmentationData
from edgeseg.data.check import Report, check, usable
from edgeseg.data.files import Layout, PictureSet, Problem, Unchecked
from edgeseg.data.recognition import Format, filled_splits, find_folder, find_split, first_fit, fits_none
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.progress import Progress, silent

# Tried in this order; the first that fits wins. `folder` is last, for many of the others are folders of pictures too.
FORMATS: dict[str, Format[Layout]] = {
    "camvid": Format(camvid.recognise, camvid.LOOKED_FOR, camvid.STEMS),
    "cityscapes": Format(cityscapes.recognise, cityscapes.LOOKED_FOR),
    "voc": Format(voc.recognise, voc.LOOKED_FOR, voc.STEMS),
    "sbd": Format(sbd.recognise, sbd.LOOKED_FOR),
    "ade20k": Format(ade20k.recognise, ade20k.LOOKED_FOR, ade20k.STEMS),
    "pets": Format(pets.recognise, pets.LOOKED_FOR),
    "coco": Format(coco.recognise, coco.LOOKED_FOR),
    "coco-panoptic": Format(coco.recognise_panoptic, coco.LOOKED_FOR_PANOPTIC),
    "coco-stuff": Format(coco.recognise_stuff, coco.LOOKED_FOR_STUFF),
    "yolo": Format(yolo.recognise, yolo.LOOKED_FOR),
    "cvat": Format(cvat.recognise, cvat.LOOKED_FOR),
    "supervisely": Format(supervisely.recognise, supervisely.LOOKED_FOR),
    "labelme": Format(labelme.recognise, labelme.LOOKED_FOR),
    "folder": Format(folder.recognise, folder.LOOKED_FOR),
}
NAMES = (procedural.NAME, *FORMATS)
SHOWN = 12
"""Absent classes that a description names."""


def open_data(
    spec: str, split: str, *, format: str = "auto", skip_bad: bool = False, progress: Progress = silent
) -> SegmentationData:
    """Open `split` of the data set that `spec` names: a folder, or `procedural[:HEIGHTxWIDTH,n=COUNT,…]`.

    Every file is read once to check it. Raises DatasetError: for an unknown format, a folder that fits none, a split
    that is missing or empty, and, unless `skip_bad`, one report of all bad files.
    """
    if procedural.is_meant(spec, format):
        return procedural.ProceduralData(procedural.ProceduralSpec.parse(spec), split)
    layout = recognise(spec, format)
    data, unpaired = _picture_set(layout, spec, split)
    report = check(data, unpaired, progress)
    good = usable(data, report, spec, split, skip_bad=skip_bad)
    return replace(good, description=_describe(layout, split, good, report))


def open_unchecked(spec: str, split: str, *, format: str = "auto") -> Unchecked[SegmentationData]:
    """Open a split as `open_data` does, but leave looking at the files to the reader. Raises DatasetError."""
    if procedural.is_meant(spec, format):
        return Unchecked(procedural.ProceduralData(procedural.ProceduralSpec.parse(spec), split))
    layout = recognise(spec, format)
    data, unpaired = _picture_set(layout, spec, split)
    return Unchecked(replace(data, description=f"{layout.title}, {split}: {len(data)} pictures, unchecked"), unpaired)


def _picture_set(layout: Layout, spec: str, split: str) -> tuple[PictureSet, tuple[Problem, ...]]:
    pairing = find_split(layout, spec, split)
    return PictureSet(layout.labels, "", pairing.pairs, layout.read_truth), pairing.problems


def _describe(layout: Layout, split: str, good: PictureSet, report: Report) -> str:
    text = f"{layout.title}, {split}: {len(good)} pictures, {len(good.labels)} classes"
    if report.problems:
        text += f"; {len(report.problems)} bad file{'s' if len(report.problems) > 1 else ''} left out"
    if report.absent:
        more = f" and {len(report.absent) - SHOWN} more" if len(report.absent) > SHOWN else ""
        text += f"; no pixel of {', '.join(report.absent[:SHOWN])}{more}"
    return text


def splits(spec: str, format: str = "auto") -> tuple[str, ...]:
    """Return the names of the splits that hold pictures."""
    if procedural.is_meant(spec, format):
        procedural.ProceduralSpec.parse(spec)
        return tuple(procedural.SPLITS)
    return filled_splits(recognise(spec, format))


def recognise(spec: str, format: str = "auto") -> Layout:
    """Return how the folder `spec` is laid out. Raises DatasetError saying which layouts were looked for."""
    if format not in ("auto", *NAMES):
        raise DatasetError(f"unknown data format {format!r}; known: auto, {', '.join(NAMES)}")
    root = find_folder(spec)
    layout = first_fit(root, FORMATS) if format == "auto" else FORMATS[format].recognise(root)
    if layout is None:
        raise fits_none(spec, FORMATS if format == "auto" else {format: FORMATS[format]})
    return layout
