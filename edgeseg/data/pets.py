"""Oxford-IIIT Pet (Parkhi et al., 2012): which pixels are the cat or dog.

Its trimaps hold 1 pet, 2 background, 3 border. The border is where the makers were not sure, so it is ignored.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.data.base import IGNORE
from edgeseg.data.classes import READERS
from edgeseg.data.files import Layout, MaskFiles, pair_folders, read_lines
from edgeseg.data.masks import MaskReader
from edgeseg.data.split_names import WHOLE
from edgeseg_runtime.contract import Label, voc_color

LABELS = (Label("background", voc_color(0)), Label("pet", voc_color(1)))
_NUMBERS = {1: 1, 2: 0, 3: IGNORE}
SPLITS = ("trainval", "test")
LOOKED_FOR = "Oxford-IIIT Pet: images/, annotations/trimaps/*.png and annotations/{trainval,test}.txt"


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root`, or oxford-iiit-pet in it, holds the pets, else None."""
    for home in (root, root / "oxford-iiit-pet"):
        pictures, masks = home / "images", home / "annotations" / "trimaps"
        if pictures.is_dir() and masks.is_dir() and not any((home / name).is_file() for name in READERS):
            lists = {split: home / "annotations" / f"{split}.txt" for split in SPLITS}
            splits = {
                split: pair_folders(pictures, masks, only=_names(path))
                for split, path in lists.items()
                if path.is_file()
            }
            splits = splits or {WHOLE: pair_folders(pictures, masks)}
            return Layout("Oxford-IIIT Pet", LABELS, MaskFiles(MaskReader(_NUMBERS)), splits)
    return None


def _names(path: Path) -> frozenset[str]:
    return frozenset(line.split()[0] for _, line in read_lines(path) if not line.startswith("#"))
