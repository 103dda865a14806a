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
    return by_split(root, [path for path in _inside(root) if path.is_dir()])


def split_files(root: Path, suffix: str) -> dict[str, Path]:
    """Return the files in `root` that are called as a split is, as `split_folders` does; its very name wins."""
    files = [path for path in _inside(root) if path.suffix == suffix and path.is_file()]
    exact = {path.stem for path in files} & set(SPLITS)
    return by_split(root, [path for path in files if path.stem in exact or meant(path.stem) not in exact])


def by_split(root: Path, paths: list[Path]) -> dict[str, Path]:
    """Return the files or folders of `root` that are called as a split is, as `split_folders` does."""
    found: dict[str, Path] = {}
    for path in paths:
        split = meant(path.stem if path.is_file() else path.name)
        if split in found and split in SPLITS:
            raise DatasetError(f"{root} has {found[split].name} and {path.name}, both for the split {split}: keep one")
        found[split] = path
    return {split: found[split] for split in SPLITS if split in found}


def meant(name: str) -> str:
    """Return the split that is called `name`, or the name as it is."""
    return SPLIT_NAMES.get(name.lower(), name)


def _inside(root: Path) -> list[Path]:
    return sorted(root.iterdir()) if root.is_dir() else []
