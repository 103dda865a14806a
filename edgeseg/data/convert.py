"""Write any readable data set as a folder of pictures and masks with a class table.

    OUT/classes.csv            name, index, r, g, b, ignore
    OUT/images/SPLIT/NAME.jpg  the pictures, byte for byte; drawn ones as PNG
    OUT/masks/SPLIT/NAME.png   class numbers with a palette, 255 where there is no class

A data set of one undivided split has no SPLIT folders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg.data.check import SHOWN
from edgeseg.data.files import Problem
from edgeseg.data.folder_files import Job, Pictures, fill, name_jobs
from edgeseg.data.items import Collection
from edgeseg.data.split_names import SPLITS, WHOLE
from edgeseg_runtime.errors import DatasetError, OutputError
from edgeseg_runtime.files import atomic_path
from edgeseg_runtime.progress import Progress, silent


@dataclass(frozen=True)
class Written:
    """What a folder was given."""

    pictures: Mapping[str, int]
    """By split."""
    problems: tuple[Problem, ...]
    """Files that could not be used and were left out."""


def write_folder(
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
    """Write the items of a collection into a new folder that appears whole or not at all.

    `assignment` gives each item's split: train, val or test; `all` for every one makes a folder without splits; None
    leaves the item out. `extra` are text files to put beside the class table, by name.

    Raises OutputError when `out` is there already, DatasetError for splits that the folder form does not know, when
    no picture is left and, unless `skip_bad`, with all files that cannot be used.
    """
    _check_splits(collection.spec, assignment)

    def write(root: Path, jobs: Sequence[Job]) -> tuple[Mapping[str, int], list[Problem]]:
        return fill(collection, jobs, root, pictures, extra or {}, workers, progress)

    return write_whole(collection, assignment, out, write, skip_bad=skip_bad)


def write_whole(
    collection: Collection,
    assignment: Sequence[str | None],
    out: Path,
    write: Callable[[Path, Sequence[Job]], tuple[Mapping[str, int], list[Problem]]],
    *,
    skip_bad: bool,
) -> Written:
    """Make the new folder `out`, whole or not at all, by `write`.

    That makes and fills the folder it is given, and returns how many pictures each split got and what could not be
    used. Raises OutputError when `out` is there already, DatasetError when no picture is left and, unless `skip_bad`,
    with all files that cannot be used.
    """
    refuse_existing(out)
    jobs = name_jobs(collection.items, assignment)
    problems = [problem for found in collection.problems.values() for problem in found]
    try:
        with atomic_path(out) as temporary:
            written, bad = write(temporary, jobs)
            problems += bad
            if problems and not (skip_bad and any(written.values())):
                raise DatasetError(_report(collection.spec, problems))
            if not any(written.values()):
                raise DatasetError(f"{collection.spec}: there is no picture to write")
    except OSError as error:
        raise OutputError(f"cannot write {error.filename or out}: {error.strerror}") from error
    return Written(dict(written), tuple(problems))


def folder_splits(splits: Sequence[str]) -> dict[str, str | None]:
    """Return what each split is called in a folder; None for those that a folder has no name for.

    One split of another name becomes a folder without splits; trainval, where there is no train, becomes train.
    """
    if len(splits) == 1 and splits[0] not in SPLITS:
        return {splits[0]: WHOLE}
    names: dict[str, str | None] = {split: split if split in SPLITS else None for split in splits}
    if "train" not in splits and "trainval" in splits:
        names["trainval"] = "train"
    return names


def refuse_existing(out: Path) -> None:
    """Raise OutputError if there is something at `out`."""
    if out.exists() or out.is_symlink():
        raise OutputError(f"{out} is there already; name a new folder, or remove it")


def _check_splits(spec: str, assignment: Sequence[str | None]) -> None:
    used = {split for split in assignment if split is not None}
    if used != {WHOLE} and (unknown := sorted(used - set(SPLITS))):
        raise DatasetError(f"{spec}: a folder's splits are {', '.join(SPLITS)}, got {', '.join(unknown)}")


def _report(spec: str, problems: Sequence[Problem]) -> str:
    """Return what is said of files that cannot be used."""
    lines = [f"  {problem.path}: {problem.reason}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"  … and {len(problems) - SHOWN} more")
    count = f"{len(problems)} bad file{'s' if len(problems) > 1 else ''}"
    return "\n".join([f"{spec}: {count} (--skip-bad goes on without)", *lines])
