"""A folder of pictures and masks with a class table, in one of the ways in which people lay it out."""

from __future__ import annotations

from pathlib import Path

from edgeseg.data.base import BadFileError, Rgb
from edgeseg.data.classes import READERS, read_class_table
from edgeseg.data.files import Layout, MaskFiles, Pairing, pair_folders, read_lines
from edgeseg.data.pictures import PICTURE_SUFFIXES, read_stored
from edgeseg_runtime.errors import DatasetError

SPLITS = ("train", "val", "test")
WHOLE = "all"
"""The one split of a folder that is not divided."""
IMAGE_FOLDERS = ("images", "JPEGImages")
MASK_FOLDERS = ("masks", "labels", "annotations", "SegmentationClass")
LIST_FOLDERS = (".", "ImageSets/Segmentation")
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
        ("folder images + masks", _flat),
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
    pair = _image_and_mask_folder(root)
    if pair is None:
        return {}
    images, masks = pair
    return _existing({split: (images / split, masks / split) for split in SPLITS})


def _split_outside(root: Path) -> dict[str, Pairing]:
    found = {split: _image_and_mask_folder(root / split) for split in SPLITS}
    return _existing({split: pair for split, pair in found.items() if pair is not None})


def _split_suffix(root: Path) -> dict[str, Pairing]:
    return _existing({split: (root / split, root / f"{split}annot") for split in SPLITS})


def _flat(root: Path) -> dict[str, Pairing]:
    pair = _image_and_mask_folder(root)
    if pair is None:
        return {}
    candidates = [(split, root / folder / f"{split}.txt") for split in SPLITS for folder in LIST_FOLDERS]
    lists = {split: path for split, path in candidates if path.is_file()}
    if not lists:
        return {WHOLE: pair_folders(*pair)}
    return {split: pair_folders(*pair, only=_stems(path)) for split, path in lists.items()}


def _image_and_mask_folder(root: Path) -> tuple[Path, Path] | None:
    images = [root / name for name in IMAGE_FOLDERS if (root / name).is_dir()]
    masks = [root / name for name in MASK_FOLDERS if (root / name).is_dir()]
    if len(images) > 1 or len(masks) > 1:
        several = images if len(images) > 1 else masks
        raise DatasetError(f"{root} has {' and '.join(path.name for path in several)}: keep one")
    return (images[0], masks[0]) if images and masks else None


def _existing(folders: dict[str, tuple[Path, Path]]) -> dict[str, Pairing]:
    return {
        split: pair_folders(images, masks)
        for split, (images, masks) in folders.items()
        if images.is_dir() and masks.is_dir()
    }


def _stems(path: Path) -> frozenset[str]:
    """Read a list of names: with or without suffix, and whatever follows on the line is somebody else's."""
    return frozenset(_stem(Path(line.split()[0]).name) for _, line in read_lines(path))


def _stem(name: str) -> str:
    return Path(name).stem if Path(name).suffix.lower() in PICTURE_SUFFIXES else name


def _palette(splits: dict[str, Pairing]) -> tuple[Rgb, ...] | None:
    """Return the palette of the first mask, if it has one."""
    first = next((pair.mask for pairing in splits.values() for pair in pairing.pairs), None)
    try:
        return read_stored(first).palette if first else None
    except BadFileError:
        return None  # the check tells of it
