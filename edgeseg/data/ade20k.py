"""ADE20K as the scene parsing challenge gives it out (Zhou et al., 2017): 150 classes; 0, all else, is ignored."""

from __future__ import annotations

import re
from pathlib import Path

from edgeseg.data.ade20k_classes import CLASSES
from edgeseg.data.base import IGNORE
from edgeseg.data.classes import READERS
from edgeseg.data.files import Layout, MaskFiles, pair_folders
from edgeseg.data.masks import MaskReader
from edgeseg_runtime.contract import Label

LABELS = tuple(Label(name, color) for name, color in CLASSES)
NUMBERS = {0: IGNORE} | {index + 1: index for index in range(len(LABELS))}
STEMS = re.compile(r"ADE_(train|val)_\d{8}$")
FOLDERS = {"train": "training", "val": "validation"}
CLOSED = "has no public truth: its makers score results on their server; val is what papers compare on"
LOOKED_FOR = (
    "ADE20K: ADEChallengeData2016/ or that folder itself,"
    " with images/{training,validation}/ and annotations/{training,validation}/"
)


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds ADE20K, else None."""
    for home in (root, root / "ADEChallengeData2016"):
        found = {
            split: (home / "images" / name, home / "annotations" / name)
            for split, name in FOLDERS.items()
            if (home / "images" / name).is_dir() and (home / "annotations" / name).is_dir()
        }
        if found and not any((home / name).is_file() for name in READERS):
            splits = {split: pair_folders(pictures, masks) for split, (pictures, masks) in found.items()}
            return Layout("ADE20K, 150 classes", LABELS, MaskFiles(MaskReader(NUMBERS)), splits, {"test": CLOSED})
    return None
