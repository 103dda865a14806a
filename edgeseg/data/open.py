"""One way into every data set: recognise what a path or a name stands for, look at its files, open a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgeseg.data import camvid, folder, procedural
from edgeseg.data.base import SegmentationData
from edgeseg.data.check import Report, check
from edgeseg.data.files import Layout, Pairing, PictureSet
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.progress import Progress, silent


@dataclass(frozen=True)
class Format:
    """A way in which data sets lie on disk."""

    recognise: Callable[[Path], Layout | None]
    looked_for: str


# Tried in this order; the first that fits wins.
FORMATS: dict[str, Format] = {
    "camvid": Format(camvid.recognise, camvid.LOOKED_FOR),
    "folder": Format(folder.recognise, folder.LOOKED_FOR),
}
NAMES = (procedural.NAME, *FORMATS)


def open_data(
    spec: str, split: str, *, format: str = "auto", skip_bad: bool = False, progress: Progress = silent
) -> SegmentationData:
    """Open `split` of the data set that `spec` names: a folder, or `procedural[:HEIGHTxWIDTH,n=COUNT,…]`.

    Every file is read once to check it. Raises DatasetError: for an unknown format, a folder that fits none, a split
    that is missing or empty, and, unless `skip_bad`, one report of all bad files.
    """
    if _is_procedural(spec, format):
        return procedural.ProceduralData(procedural.ProceduralSpec.parse(spec), split)
    layout = recognise(spec, format)
    pairing = layout.splits.get(split, Pairing((), ()))
    if not pairing.pairs and not pairing.problems:
        raise DatasetError(f"{spec} ({layout.title}): the split {split!r} is {_missing(layout, split)}")
    data = PictureSet(layout.labels, "", pairing.pairs, layout.read_mask)
    report = check(data, pairing.problems, progress)
    if not report.ok and not skip_bad:
        count = f"{len(report.problems)} bad file{'s' if len(report.problems) > 1 else ''}"
        raise DatasetError(f"{spec}, split {split}: {count} (--skip-bad goes on without)\n{report.text()}")
    good = data.without(report.bad_pairs)
    if not good.pairs:
        raise DatasetError(f"{spec}, split {split}: no file can be used\n{report.text()}")
    return replace(good, description=_describe(layout, split, good, report))


def _missing(layout: Layout, split: str) -> str:
    filled = ", ".join(name for name, pairing in layout.splits.items() if pairing.pairs) or "none"
    return f"{'empty' if split in layout.splits else 'not there'}; splits that hold pictures: {filled}"


def _describe(layout: Layout, split: str, good: PictureSet, report: Report) -> str:
    text = f"{layout.title}, {split}: {len(good)} pictures, {len(good.labels)} classes"
    if report.problems:
        text += f"; {len(report.problems)} bad file{'s' if len(report.problems) > 1 else ''} left out"
    if report.absent:
        text += f"; no pixel of {', '.join(report.absent)}"
    return text


def splits(spec: str, format: str = "auto") -> tuple[str, ...]:
    """Return the names of the splits that hold pictures."""
    if _is_procedural(spec, format):
        procedural.ProceduralSpec.parse(spec)
        return tuple(procedural.SPLITS)
    return tuple(name for name, pairing in recognise(spec, format).splits.items() if pairing.pairs)


def recognise(spec: str, format: str = "auto") -> Layout:
    """Return how the folder `spec` is laid out. Raises DatasetError saying which layouts were looked for."""
    if format not in ("auto", *NAMES):
        raise DatasetError(f"unknown data format {format!r}; known: auto, {', '.join(NAMES)}")
    root = Path(spec)
    if not root.is_dir():
        raise DatasetError(
            f"there is no folder {spec!r}; name a data folder, or {procedural.NAME} for the built-in set"
        )
    tried = FORMATS if format == "auto" else {format: FORMATS[format]}
    for candidate in tried.values():
        if (layout := candidate.recognise(root)) is not None:
            return layout
    looked_for = "".join(f"\n  {candidate.looked_for}" for candidate in tried.values())
    raise DatasetError(f"{spec} fits no known layout; looked for:{looked_for}")


def _is_procedural(spec: str, format: str) -> bool:
    named = spec.partition(":")[0] == procedural.NAME
    if format == procedural.NAME and not named:
        raise DatasetError(f"the {procedural.NAME} set is named like {procedural.EXAMPLE}, got {spec!r}")
    return format == procedural.NAME or (format == "auto" and named)
