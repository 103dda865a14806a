"""Penn-Fudan pedestrians (Wang et al., ACCV 2007): object numbers in a mask for each picture; all are people.

The set is not divided. Here every fifth picture in the order of the names is val and the others are train; pictures
whose names differ only in what follows the number, such as a copy's, count as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgeseg.data.files import Pair, Pairing, Problem, Size, pair_folders
from edgeseg.data.instances.base import Instance
from edgeseg.data.instances.files import ObjectLayout
from edgeseg.data.instances.regions import numbered
from edgeseg.data.instances.truth import Objects, gathered
from edgeseg.data.instances.voc import read_numbers
from edgeseg_runtime.contract import Label

LOOKED_FOR = "Penn-Fudan: PNGImages/*.png + PedMasks/*_mask.png; every fifth picture is val"
LABELS = (Label("person", (220, 20, 60)),)
_MASK = "_mask"
_EVERY = 5


@dataclass(frozen=True)
class NumberedPeople:
    """Reads a mask of people's numbers: 0 is nobody."""

    def __call__(self, pair: Pair, size: Size) -> Objects:
        """Read the objects. Raises BadFileError."""
        return gathered(Instance(0, region) for _, region in numbered(read_numbers(pair.mask, size)))


def recognise(root: Path) -> ObjectLayout | None:
    """Return the layout if `root`, or PennFudanPed in it, holds the set, else None."""
    home = next((f for f in (root, root / "PennFudanPed") if (f / "PNGImages").is_dir()), root)
    pictures, masks = home / "PNGImages", home / "PedMasks"
    if not pictures.is_dir() or not masks.is_dir():
        return None
    splits = divide(pair_folders(pictures, masks, stem_of_mask=_stem))
    return ObjectLayout("Penn-Fudan pedestrians", LABELS, NumberedPeople(), splits)


def divide(pairing: Pairing) -> dict[str, Pairing]:
    """Divide pairs, and files without a partner, into train and val."""
    names = sorted({_series(path) for path in (*(p.image for p in pairing.pairs), *(p.path for p in pairing.problems))})
    held_out = set(names[_EVERY - 1 :: _EVERY])

    def part(val: bool) -> Pairing:
        pairs = (pair for pair in pairing.pairs if (_series(pair.image) in held_out) == val)
        problems = (problem for problem in pairing.problems if (_series(problem.path) in held_out) == val)
        return Pairing(tuple[Pair, ...](pairs), tuple[Problem, ...](problems))

    return {"train": part(False), "val": part(True)}


def _stem(mask: str) -> str:
    return mask.removesuffix(_MASK)


def _series(path: Path) -> str:
    """Return a name up to its first number, included."""
    stem = _stem(path.stem)
    found = re.match(r"\D*\d+", stem)
    return (found[0] if found else stem).lower()
