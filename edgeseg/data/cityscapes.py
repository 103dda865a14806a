"""Cityscapes (Cordts et al., 2016): fine annotations, the 19 classes that are trained and scored.

Names, colours and the numbers behind them are those of the makers' label table (labels.py of cityscapesscripts).
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.data.base import IGNORE, BadFileError
from edgeseg.data.files import Layout, MaskFiles, Pair, Pairing, Problem, list_pictures
from edgeseg.data.masks import MaskReader
from edgeseg.data.split_names import SPLITS
from edgeseg_runtime.contract import Label

_TABLE = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
LABELS = tuple(Label(name, color) for _, name, color in _TABLE)
"""The 19 classes in the order of their train ids."""
LABEL_IDS = dict.fromkeys(range(34), IGNORE) | {row[0]: index for index, row in enumerate(_TABLE)}
"""Class index, or IGNORE, by label id."""
TRAIN_IDS = {index: index for index in range(len(LABELS))}

_PICTURE, _KINDS = "_leftImg8bit", ("labelIds", "labelTrainIds")
CLOSED = "has no public truth: its makers score results on their server; val is what papers compare on"
LOOKED_FOR = "Cityscapes: leftImg8bit/SPLIT/CITY/*_leftImg8bit.png + gtFine/SPLIT/CITY/*_gtFine_labelIds.png"


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds Cityscapes, else None."""
    pictures, masks = root / "leftImg8bit", root / "gtFine"
    present = [split for split in SPLITS if (pictures / split).is_dir()]
    if not present or not masks.is_dir():
        return None
    # One reader for both kinds of files cannot be: 7 is the road in one, a traffic sign in the other.
    kind = next((kind for kind in _KINDS if any(masks.rglob(f"*_gtFine_{kind}.png"))), _KINDS[0])
    reader = MaskReader(LABEL_IDS if kind == "labelIds" else TRAIN_IDS)
    splits = {split: _pairing(pictures / split, masks / split, kind) for split in present}
    closed = {}
    if "test" in splits and not _has_truth(splits["test"], reader):
        closed["test"] = CLOSED
        del splits["test"]
    return Layout(f"Cityscapes fine, {kind}", LABELS, MaskFiles(reader), splits, closed)


def _pairing(pictures: Path, masks: Path, kind: str) -> Pairing:
    pairs, problems, wanted = [], [], set()
    for city in sorted(path for path in pictures.iterdir() if path.is_dir()):
        for picture in list_pictures(city, (".png",)):
            mask = masks / city.name / f"{picture.stem.removesuffix(_PICTURE)}_gtFine_{kind}.png"
            wanted.add(mask)
            if mask.is_file():
                pairs.append(Pair(picture, mask))
            else:
                problems.append(Problem(picture, f"has no mask {mask.name} in {mask.parent}"))
    alone = (mask for mask in sorted(masks.glob(f"*/*_gtFine_{kind}.png")) if mask not in wanted)
    problems += [Problem(mask, f"has no picture in {pictures / mask.parent.name}") for mask in alone]
    return Pairing(tuple(pairs), tuple(problems))


def _has_truth(pairing: Pairing, reader: MaskReader) -> bool:
    """Whether the first mask holds a class. The makers' test masks are there, but hold nothing."""
    try:
        return bool(pairing.pairs) and bool((reader(pairing.pairs[0].mask) != IGNORE).any())
    except BadFileError:
        return True  # the check tells of it
