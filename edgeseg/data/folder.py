"""A folder of pictures and masks with a class table, in one of the ways in which people lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path

from edgeseg.data.base import BadFileError, Rgb
from edgeseg.data.classes import READERS, read_class_table
from edgeseg.data.files import Layout, MaskFiles, Pairing, Problem, list_pictures, pair_folders, read_lines
from edgeseg.data.pictures import PICTURE_SUFFIXES, read_stored
from edgeseg.data.split_names import SPLITS, WHOLE, split_files, split_folders
from edgeseg_runtime.errors import DatasetError

IMAGE_FOLDERS = ("images", "JPEGImages")
MASK_FOLDERS = ("masks", "labels", "annotations", "SegmentationClass")
LIST_FOLDERS = (".", "ImageSets/Segmentation")
FLAT = "folder images + masks"
LOOKED_FOR = (
    "folder: images/SPLIT/ + masks/SPLIT/, SPLIT/images/ + SPLIT/masks/, SPLIT/ + SPLITannot/, or images/ + masks/ with"
    f" optional SPLIT.txt lists of names; SPLIT is {', '.join(SPLITS)}; masks/ may be called"
    f" {', '.join(MASK_FOLDERS[1:])}; beside them one class table: {', '.join(READERS)}"
)


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` is laid out in a known way, else None. Raises DatasetError without a class table."""
    for title, find in (
        ("folder images/SPLIT + masks/SPLIT", _split_inside),
        ("folder SPLIT/images + SPLIT/masks", _split_outside),
        ("folder SPLIT + SPLITannot", _split_suffix),
        (FLAT, _flat),
    ):
        if splits := find(root):
            table = read_class_table(root)
            if table is None:
                raise DatasetError(
                    f"{root} holds pictures and masks but no class table; add one of {', '.join(READERS)}"
                    " (classes.txt: one class name a line, the first is number 0 in the masks)"
                )
            return Layout(title, table.labels(_palette(splits)), MaskFiles(table.mask_reader()), splits)
    return None


def _split_inside(root: Path) -> dict[str, Pairing]:
    images, masks = _one_of(root, IMAGE_FOLDERS), _one_of(root, MASK_FOLDERS)
    if images is None or masks is None:
        return {}
    found = _matched(split_folders(images), split_folders(masks))
    if found and (beside := pair_folders(images, masks).pairs):
        reason = f"{len(beside)} of its pictures with masks lie in no split's folder, {beside[0].image.name} first"
        split, pairing = next(iter(found.items()))
        found[split] = replace(pairing, problems=(*pairing.problems, Problem(images, reason)))
    return found


def _split_outside(root: Path) -> dict[str, Pairing]:
    images, masks = (
        {split: found for split, folder in split_folders(root).items() if (found := _one_of(folder, names))}
        for names in (IMAGE_FOLDERS, MASK_FOLDERS)
    )
    return _matched(images, masks)


def _split_suffix(root: Path) -> dict[str, Pairing]:
    images = split_folders(root)
    masks = {split: root / f"{folder.name}annot" for split, folder in images.items()}
    return _matched(images, {split: folder for split, folder in masks.items() if folder.is_dir()})


def _flat(root: Path) -> dict[str, Pairing]:
    images, masks = _one_of(root, IMAGE_FOLDERS), _one_of(root, MASK_FOLDERS)
    if images is None or masks is None:
        return {}
    lists = {split: path for folder in LIST_FOLDERS for split, path in split_files(root / folder, ".txt").items()}
    if not lists:
        return {WHOLE: pair_folders(images, masks)}
    known = {path.stem for path in list_pictures(images)}
    return {split: pair_folders(images, masks, only=_stems(lists[split], known)) for split in SPLITS if split in lists}


def _one_of(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the folder in `root` that has one of these names. Raises DatasetError where there are several."""
    found = [root / name for name in names if (root / name).is_dir()]
    if len(found) > 1:
        raise DatasetError(f"{root} has {' and '.join(path.name for path in found)}: keep one")
    return found[0] if found else None


def _matched(images: Mapping[str, Path], masks: Mapping[str, Path]) -> dict[str, Pairing]:
    """Pair the splits' folders; nothing where no split has both. A test split without masks is none."""
    if not images.keys() & masks.keys():
        return {}
    found = {}
    for split in SPLITS:
        if split in images and split in masks:
            found[split] = pair_folders(images[split], masks[split])
        elif split in images and split != "test":
            found[split] = Pairing((), (Problem(images[split], "there is no folder of its masks"),))
        elif split in masks:
            found[split] = Pairing((), (Problem(masks[split], "there is no folder of its pictures"),))
    return found


def _stems(path: Path, known: Set[str]) -> frozenset[str]:
    """Read a list of names: with or without suffix, with blanks in them where a picture is called so.

    Whatever else follows on the line is somebody else's.
    """
    return frozenset(
        whole if (whole := _stem(line)) in known else _stem(line.split()[0]) for _, line in read_lines(path)
    )


def _stem(entry: str) -> str:
    name = Path(entry.replace("\\", "/")).name  # as some programs write it on Windows
    return Path(name).stem if Path(name).suffix.lower() in PICTURE_SUFFIXES else name


def _palette(splits: dict[str, Pairing]) -> tuple[Rgb, ...] | None:
    """Return the palette of the first mask, if it has one."""
    first = next((pair.mask for pairing in splits.values() for pair in pairing.pairs), None)
    try:
        return read_stored(first).palette if first else None
    except BadFileError:
        return None  # the check tells of it
