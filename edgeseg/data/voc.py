"""Pascal VOC segmentation (Everingham et al., 2007-12): 20 kinds of things and background; borders are ignored."""

from __future__ import annotations

import re
from pathlib import Path

from edgeseg.data.base import BadFileError
from edgeseg.data.classes import READERS
from edgeseg.data.files import Layout, MaskFiles, Pairing, list_pictures, pair_folders, read_lines
from edgeseg.data.masks import MaskReader
from edgeseg.data.pictures import MASK_SUFFIXES, read_stored
from edgeseg.data.split_names import WHOLE
from edgeseg_runtime.contract import Label, voc_color

NAMES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
LABELS = tuple(Label(name, voc_color(index)) for index, name in enumerate(NAMES))
"""The 21 classes in VOC's order and colours."""
NUMBERS = {index: index for index in range(len(LABELS))}

STEMS = re.compile(r"(20\d\d_\d{6}|\d{6})$")
"""Year and number; in 2007 a number alone."""
SPLITS = ("train", "val", "trainval", "test")
CLOSED = "has no public truth: its makers score results on their server; val is what papers compare on"
LOOKED_FOR = (
    "Pascal VOC: VOCdevkit/VOC20XX/ or that folder itself, with JPEGImages/, SegmentationClass/ and"
    " ImageSets/Segmentation/SPLIT.txt (without lists, masks in VOC's palette are the split all)"
)


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds VOC, else None. Of several years, the last.

    A folder with a class table of its own is laid out like VOC, but is not VOC.
    """
    years = sorted(path for folder in (root, root / "VOCdevkit") for path in folder.glob("VOC20[0-9][0-9]"))
    home = years[-1] if years else root
    pictures, masks = home / "JPEGImages", home / "SegmentationClass"
    if not pictures.is_dir() or not masks.is_dir() or any((home / name).is_file() for name in READERS):
        return None
    title = f"Pascal {home.name}" if years else "Pascal VOC"
    splits: dict[str, Pairing] = {}
    closed = {}
    for split in SPLITS:
        names = _names(home / "ImageSets/Segmentation" / f"{split}.txt")
        if split == "test" and names and not any((masks / f"{name}.png").is_file() for name in names):
            closed[split] = CLOSED
        elif names:
            splits[split] = pair_folders(pictures, masks, only=names)
    if not splits and _painted_by_voc(masks):
        splits[WHOLE] = pair_folders(pictures, masks)
    return Layout(title, LABELS, MaskFiles(MaskReader(NUMBERS)), splits, closed) if splits else None


def _names(path: Path) -> frozenset[str]:
    return frozenset(line.split()[0] for _, line in read_lines(path)) if path.is_file() else frozenset()


def _painted_by_voc(masks: Path) -> bool:
    """Whether the first mask has VOC's palette."""
    try:
        first = next(iter(list_pictures(masks, MASK_SUFFIXES)), None)
        palette = read_stored(first).palette if first else None
    except BadFileError:
        return False
    return palette is not None and palette[: len(LABELS)] == tuple(label.color for label in LABELS)
