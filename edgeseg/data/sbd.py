"""SBD, the Semantic Boundaries Dataset (Hariharan et al., 2011): VOC's classes on 11,355 of its pictures.

Its train split shares pictures with VOC's val; `train_noval`, a list that is had apart, leaves those out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.data.base import BadFileError
from edgeseg.data.files import Layout, Pair, Pairing, Problem, Size, check_size, in_name_order, read_lines
from edgeseg.data.voc import LABELS
from edgeseg_runtime.extras import require
from edgeseg_runtime.preprocess import Mask

EXTRA = "sbd"
SPLITS = ("train", "val", "train_noval")
_HOMES = (".", "dataset", "benchmark_RELEASE/dataset")
LOOKED_FOR = "SBD: benchmark_RELEASE/dataset/ or that folder itself, with img/, cls/*.mat and SPLIT.txt"


@dataclass(frozen=True)
class MatTruth:
    """Reads the class mask in a MATLAB file, `GTcls.Segmentation`."""

    def __call__(self, pair: Pair, size: Size) -> Mask:
        """Read the mask. Raises BadFileError."""
        from scipy.io import loadmat

        try:
            mask = loadmat(pair.mask, variable_names=["GTcls"])["GTcls"]["Segmentation"][0, 0]
        except Exception as error:  # scipy promises no set of errors for damaged files
            raise BadFileError(pair.mask, f"cannot be read as SBD's MATLAB file: {error}") from error
        if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype.kind not in "ui":
            raise BadFileError(pair.mask, "GTcls.Segmentation is no mask")
        check_size(pair.mask, (mask.shape[0], mask.shape[1]), size)
        if (outside := np.unique(mask[(mask < 0) | (mask >= len(LABELS))])).size:
            raise BadFileError(pair.mask, f"label outside the class table: {', '.join(map(str, outside[:5].tolist()))}")
        return np.ascontiguousarray(mask, np.uint8)


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds SBD, else None. Raises MissingExtraError without scipy."""
    home = next(
        (root / name for name in _HOMES if (root / name / "cls").is_dir() and (root / name / "img").is_dir()), None
    )
    if home is None or not any((home / "cls").glob("*.mat")):
        return None
    require("scipy", EXTRA)
    lists = {split: home / f"{split}.txt" for split in SPLITS if (home / f"{split}.txt").is_file()}
    splits = {split: _pairing(home, [line for _, line in read_lines(path)]) for split, path in lists.items()}
    return Layout("SBD", LABELS, MatTruth(), splits)


def _pairing(home: Path, names: list[str]) -> Pairing:
    pairs, problems = [], []
    for name in names:
        picture, mask = home / "img" / f"{name}.jpg", home / "cls" / f"{name}.mat"
        if picture.is_file() and mask.is_file():
            pairs.append(Pair(picture, mask))
        else:
            problems.append(Problem(picture if not picture.is_file() else mask, "is listed, but not there"))
    return in_name_order(pairs, problems)
