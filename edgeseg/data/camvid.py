"""CamVid (Brostow, Fauqueur and Cipolla, 2008-09) in the two forms that people have it in.

SegNet's form: 11 classes as grey index PNGs, void = 11, folders `train` and `trainannot` and so on, or list files
`train.txt` of "picture mask" lines. The original: 701 pictures with 32-colour masks `NAME_L.png`.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgeseg.data.base import IGNORE, Rgb
from edgeseg.data.classes import READERS, read_label_colors
from edgeseg.data.files import Layout, MaskFiles, Pair, Pairing, Problem, pair_folders, read_lines
from edgeseg.data.masks import MaskReader
from edgeseg.data.pictures import PICTURE_SUFFIXES
from edgeseg.data.split_names import SPLITS
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError

LABELS = (
    Label("Sky", (128, 128, 128)),
    Label("Building", (128, 0, 0)),
    Label("Pole", (192, 192, 128)),
    Label("Road", (128, 64, 128)),
    Label("Pavement", (60, 40, 222)),
    Label("Tree", (128, 128, 0)),
    Label("SignSymbol", (192, 128, 128)),
    Label("Fence", (64, 64, 128)),
    Label("Car", (64, 0, 128)),
    Label("Pedestrian", (64, 64, 0)),
    Label("Bicyclist", (0, 128, 192)),
)
"""The 11 classes of the SegNet protocol, in its order and colours."""
VOID = 11

GROUPS = {
    "Sky": ("Sky",),
    "Building": ("Archway", "Bridge", "Building", "Tunnel", "Wall"),
    "Pole": ("Column_Pole", "TrafficCone"),
    "Road": ("Road", "LaneMkgsDriv", "LaneMkgsNonDriv"),
    "Pavement": ("Sidewalk", "ParkingBlock", "RoadShoulder"),
    "Tree": ("Tree", "VegetationMisc"),
    "SignSymbol": ("SignSymbol", "Misc_Text", "TrafficLight"),
    "Fence": ("Fence",),
    "Car": ("Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"),
    "Pedestrian": ("Pedestrian", "Child", "CartLuggagePram", "Animal"),
    "Bicyclist": ("Bicyclist", "MotorcycleScooter"),
}
"""How the 32 original classes make up the 11; Void is ignored."""

COLORS: dict[str, Rgb] = {
    "Animal": (64, 128, 64),
    "Archway": (192, 0, 128),
    "Bicyclist": (0, 128, 192),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64),
    "Misc_Text": (128, 128, 64),
    "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64),
    "ParkingBlock": (64, 192, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64),
    "TrafficLight": (0, 64, 64),
    "Train": (192, 64, 128),
    "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192),
    "Tunnel": (64, 0, 64),
    "VegetationMisc": (192, 192, 0),
    "Void": (0, 0, 0),
    "Wall": (64, 192, 0),
}

STEMS = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_")
"""The four drives."""
ORIGINAL_FOLDERS = (("701_StillsRaw_full", "LabeledApproved_full"), ("images", "labels"))
LOOKED_FOR = (
    "CamVid: train/ + trainannot/ (SegNet), train.txt of 'picture mask' lines, "
    "or 701_StillsRaw_full/ + LabeledApproved_full/ (or images/ + labels/) with NAME_L.png masks"
)


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds CamVid in a known form, else None. Raises DatasetError for a broken table.

    A folder with a class table of its own is laid out like CamVid, but is not CamVid.
    """
    if any((root / name).is_file() for name in READERS if name != "label_colors.txt"):
        return None
    return _segnet_folders(root) or _segnet_lists(root) or _original(root)


def _segnet_folders(root: Path) -> Layout | None:
    splits = {
        split: pair_folders(root / split, root / f"{split}annot")
        for split in SPLITS
        if (root / split).is_dir() and (root / f"{split}annot").is_dir()
    }
    return _segnet_layout("CamVid, SegNet folders", splits)


def _segnet_lists(root: Path) -> Layout | None:
    splits = {}
    for split in SPLITS:
        lines = _list_lines(root / f"{split}.txt")
        if lines and all(len(line) == 2 for line in lines):
            splits[split] = _pair_lines(root, lines)
    return _segnet_layout("CamVid, SegNet lists", splits)


def _segnet_layout(title: str, splits: dict[str, Pairing]) -> Layout | None:
    if not splits:
        return None
    numbers = {index: index for index in range(len(LABELS))} | {VOID: IGNORE}
    return Layout(title, LABELS, MaskFiles(MaskReader(numbers)), splits)


def _list_lines(path: Path) -> list[list[str]]:
    return [line.split() for _, line in read_lines(path)] if path.is_file() else []


def _pair_lines(root: Path, lines: list[list[str]]) -> Pairing:
    pairs, problems = [], []
    for image_entry, mask_entry in lines:
        image, mask = _resolve(root, image_entry), _resolve(root, mask_entry)
        if image is not None and mask is not None:
            pairs.append(Pair(image, mask))
        else:
            problems.append(Problem(root / (image_entry if image is None else mask_entry), "is listed, but not there"))
    return Pairing(tuple(pairs), tuple(problems))


def _resolve(root: Path, entry: str) -> Path | None:
    """Find a listed file: relative to `root`, or its last two parts (published lists say /SegNet/CamVid/train/…)."""
    for candidate in (root / entry.lstrip("/"), root.joinpath(*Path(entry).parts[-2:])):
        for suffix in (candidate.suffix, *PICTURE_SUFFIXES):
            if (path := candidate.with_suffix(suffix)).is_file():
                return path
    return None


def _original(root: Path) -> Layout | None:
    for image_name, mask_name in ORIGINAL_FOLDERS:
        images, masks = root / image_name, root / mask_name
        if images.is_dir() and masks.is_dir() and any(masks.glob("*_L.png")):
            everything = pair_folders(images, masks, stem_of_mask=lambda stem: stem.removesuffix("_L"))
            splits = {split: _share(everything, split) for split in SPLITS}
            present = {split: pairing for split, pairing in splits.items() if pairing.pairs or pairing.problems}
            return Layout(
                "CamVid, 32 colours grouped to 11",
                LABELS,
                MaskFiles(MaskReader({}, _color_classes(root), palette_colors=True)),
                present,
            )
    return None


def _color_classes(root: Path) -> dict[Rgb, int]:
    """Map every colour to one of the 11 classes, or IGNORE for Void."""
    path = root / "label_colors.txt"
    colors = COLORS
    if path.is_file():
        colors = {row.name: row.color for row in read_label_colors(path).rows if row.color is not None}
    index = {name: number for number, label in enumerate(LABELS) for name in GROUPS[label.name]} | {"Void": IGNORE}
    if unknown := sorted(set(colors) - set(index)):
        raise DatasetError(f"{path}: {unknown[0]!r} is not a CamVid class; for classes of your own use --format folder")
    return {color: index[name] for name, color in colors.items()}


def _share(everything: Pairing, split: str) -> Pairing:
    return Pairing(
        tuple(pair for pair in everything.pairs if split_of(pair.image.stem) == split),
        tuple(p for p in everything.problems if split_of(p.path.stem.removesuffix("_L")) == split),
    )


def split_of(stem: str) -> str:
    """Return the split of a picture in the usual 367 / 101 / 233 division of the 701 (that of SegNet)."""
    sequence, _, number = stem.partition("_")
    frame = int(number) if number.isdigit() else -1
    if sequence == "Seq05VD" or (sequence == "0001TP" and frame > 8520):
        return "test"
    if sequence == "0016E5" and 7959 <= frame <= 8159:
        return "val"
    return "train"
