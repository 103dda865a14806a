"""What data sets call their splits."""

from __future__ import annotations

from pathlib import Path

from edgeseg_runtime.errors import DatasetError

SPLITS = ("train", "val", "test")
WHOLE = "all"
"""The one split of a set that is not divided."""
SPLIT_NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}
"""Which split is meant, by what people call it in small letters."""


def split_folders(root: Path) -> dict[str, Path]:
    """Return the folders in `root` that are called as a split is, `Valid` or `training` too, in the order of SPLITS.

    Raises DatasetError where two stand for one split.
    """
    found: dict[str, Path] = {}
    folders = sorted(root.iterdir()) if root.is_dir() else []
    for folder in folders:
        split = SPLIT_NAMES.get(folder.name.lower())
        if split is None or not folder.is_dir():
            continue
        if split in found:
            raise DatasetError(
                f"{root} has {found[split].name} and {folder.name}, both for the split {split}: keep one"
            )
        found[split] = folder
    return {split: found[split] for split in SPLITS if split in found}
