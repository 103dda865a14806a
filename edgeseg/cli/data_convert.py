"""`edgeseg data convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgeseg.cli.console import answer_json, note, progress
from edgeseg.cli.data_config import SourceConfig
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg.data.convert import Written

Target = Literal["folder", "coco"]


def convert(
    *,
    source: SourceConfig,
    out: Path,
    to: Target | None = None,
    workers: int = 4,
    skip_bad: bool = False,
    json: bool = False,
) -> None:
    """Write labelled pictures of any readable form in another one.

    `folder` is pictures, masks of class numbers with a palette, and classes.csv.
    `coco` is pictures and COCO's JSON: single objects with masks, boxes and areas.
    Pictures are copied byte for byte, masks written anew from what is read. All
    splits are written, or --split alone. --out must not be there yet and appears
    whole or not at all.

    For example:

      edgeseg data convert --data coco --out coco-masks
      edgeseg data convert --data VOCdevkit --split val --out voc-val
      edgeseg data convert --data PennFudanPed --to coco --out people

    Parameters
    ----------
    out
        The new folder.
    to
        The form to write; `folder` for classes and `coco` for objects if not given.
    workers
        Pictures that are written at once.
    skip_bad
        Leave out what cannot be used instead of stopping.
    json
        Print what was written as JSON.
    """
    from edgeseg.data.convert import refuse_existing

    if workers < 1:
        raise ConfigError(f"--workers must be 1 or more, got {workers}")
    target = _target(source, to)
    refuse_existing(out)
    write = _objects if target == "coco" else _classes
    written = write(source, out, skip_bad=skip_bad, workers=workers)
    counts = ", ".join(f"{split} {count}" for split, count in written.pictures.items())
    if json:
        bad = [{"path": str(problem.path), "reason": problem.reason} for problem in written.problems]
        answer_json({"out": str(out), "to": target, "pictures": dict(written.pictures), "left_out": bad})
    else:
        note(f"{out}: {counts}" + left_out(len(written.problems)))


def _target(source: SourceConfig, to: Target | None) -> Target:
    """Return what is written. Raises ConfigError where it does not fit what is read."""
    if to == "coco" and source.task == "semantic":
        raise ConfigError(
            "--to coco writes objects; read them with --task instance, or write a folder with --to folder"
        )
    if to == "folder" and source.task == "instance":
        raise ConfigError("--to folder writes classes of pixels; read them with --task semantic, or use --to coco")
    return to or ("coco" if source.chosen_task() == "instance" else "folder")


def _objects(source: SourceConfig, out: Path, *, skip_bad: bool, workers: int) -> Written:
    from edgeseg.data.instances.collection import open_objects
    from edgeseg.data.instances.convert import write_coco

    collection = open_objects(source.data, format=source.format, splits=[source.split] if source.split else [])
    assignment = [item.split for item in collection.items]
    return write_coco(collection, assignment, out, skip_bad=skip_bad, workers=workers, progress=progress)


def _classes(source: SourceConfig, out: Path, *, skip_bad: bool, workers: int) -> Written:
    from edgeseg.data.convert import folder_splits, write_folder
    from edgeseg.data.items import open_collection
    from edgeseg.data.split_names import SPLITS, WHOLE

    collection = open_collection(source.data, format=source.format, splits=[source.split] if source.split else [])
    names = folder_splits(collection.splits)
    if not any(names.values()):
        raise ConfigError(
            f"{source.data} has the splits {', '.join(names)}, a folder {', '.join(SPLITS)}: name one of them with"
            " --split, or divide the pictures with edgeseg data split"
        )
    for name, becomes in names.items():
        if becomes is None:
            note(f"{name} is left out; a folder's splits are {', '.join(SPLITS)}")
        elif becomes != name:
            note(f"{name} becomes {'a folder without splits' if becomes == WHOLE else becomes}")
    assignment = [names[item.split] for item in collection.items]
    return write_folder(collection, assignment, out, skip_bad=skip_bad, workers=workers, progress=progress)


def left_out(count: int) -> str:
    """Return what is said of bad files behind what was written; nothing where there are none."""
    return f"; {count} bad file{'' if count == 1 else 's'} left out" if count else ""
