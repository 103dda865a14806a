"""`edgeseg data split`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress, table
from edgeseg.cli.data_config import SourceConfig
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg.data.division import Division

GROUP_HELP = (
    "What stays together: auto (scenes and near duplicates), scene (frames that follow each other and look alike),"
    " video (names that differ in their last number), folder, none, or a regular expression: pictures in whose paths it"
    " matches the same text, or the same first group."
)
FAR = 0.05
"""Difference to a wished share from which it is told why."""


@Parameter(name="*")
@dataclass(frozen=True)
class SplitConfig:
    """How to divide, and what to write."""

    out: Path
    """New folder; with --write lists any folder, such as that of the data."""
    val: float = 0.2
    """Share of the pictures to validate on."""
    test: float = 0.0
    """Share of the pictures to test on."""
    group_by: Annotated[str, Parameter(help=GROUP_HELP)] = "auto"
    seed: int = 0
    """Another one divides differently."""
    write: Literal["link", "copy", "lists"] = "link"
    """A folder of masks and links to the pictures, one of copies, or only train.txt, val.txt and test.txt."""
    workers: int = 4
    """Pictures that are read at once."""
    skip_bad: bool = False
    """Leave out what cannot be used instead of stopping."""
    json: bool = False
    """Print the shares as JSON."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"--workers must be 1 or more, got {self.workers}")
        if self.seed < 0:
            raise ConfigError(f"--seed must be 0 or more, got {self.seed}")


def split(*, source: SourceConfig, config: SplitConfig) -> None:
    """Divide labelled pictures into train, val and test.

    All splits there are (or --split alone) are put together and divided anew:
    classes are spread by their pixels, and pictures that belong together, such as
    frames of a scene, never come to lie in two splits. The same seed divides the
    same way. split.json in --out records how it was done. With --task instance
    the objects are written in COCO's form.

    For example:

      edgeseg data split --data camvid --out camvid-new --val 0.2
      edgeseg data split --data shots --out shots --write lists --val 0.1 --test 0.1
      edgeseg data split --data drives --out d --group-by 'drive_\\d+'
      edgeseg data split --data people --task instance --out divided
    """
    from edgeseg.data.convert import refuse_existing, write_folder
    from edgeseg.data.division import RECORD, Shares, record_text, write_lists
    from edgeseg.data.instances.collection import open_objects
    from edgeseg.data.instances.convert import write_coco
    from edgeseg.data.items import open_collection
    from edgeseg.data.split import divide

    shares = Shares(config.val, config.test)
    of_objects = source.chosen_task() == "instance"
    if of_objects and config.write == "lists":
        raise ConfigError("--write lists is for masks; sets of objects are written in COCO's form with link or copy")
    if config.write != "lists":
        refuse_existing(config.out)
    opened, write = (open_objects, write_coco) if of_objects else (open_collection, write_folder)
    collection = opened(source.data, format=source.format, splits=[source.split] if source.split else [])
    division = divide(
        collection,
        shares,
        by=config.group_by,
        seed=config.seed,
        skip_bad=config.skip_bad,
        workers=config.workers,
        progress=progress,
    )
    if config.write == "lists":
        write_lists(division, config.out)
    else:
        write(
            collection,
            division.assignment,
            config.out,
            pictures=config.write,
            extra={RECORD: record_text(division)},
            skip_bad=config.skip_bad,
            workers=config.workers,
            progress=progress,
        )
    if config.json:
        answer_json({"out": str(config.out), **division.record()})
    else:
        show(division)
    for remark in remarks(division):
        note(remark)


def show(division: Division) -> None:
    """Print which share of each class's pixels every split has, as it was wished in the header."""
    wished = division.shares.by_split
    total = division.pixels.sum(0)
    rows = [
        [
            "pictures",
            *(f"{count} = {100 * count / sum(division.pictures.values()):.1f}" for count in division.pictures.values()),
        ]
    ]
    columns = {name: division.class_pixels(name) for name in wished}
    for index, label in enumerate(division.collection.labels):
        cells = [f"{100 * columns[name][index] / total[index]:.1f}" if total[index] else "–" for name in wished]
        rows.append([label.name, *cells])
    title = f"{len(division.groups)} groups by {division.by}; % of each class's pixels"
    table(title, ["class", *(f"{name} ({100 * share:g})" for name, share in wished.items())], rows)


def remarks(division: Division) -> list[str]:
    """Return what is worth knowing: files left out, and shares that could not be met."""
    lines = [f"{len(division.problems)} bad files left out"] if division.problems else []
    pictures = division.pictures
    total = sum(pictures.values())
    far = [name for name, share in division.shares.by_split.items() if abs(pictures[name] / total - share) > FAR]
    if far:
        largest = max(len(group) for group in division.groups)
        why = f"the largest of {len(division.groups)} groups has {largest} of {total} pictures"
        advice = "; --group-by scene or a regular expression may make smaller ones" if largest > 1 else ""
        lines.append(f"{' and '.join(far)} could not be met: {why}{advice}")
    return lines
