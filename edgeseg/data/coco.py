"""COCO (Lin et al., 2014) and what programs write in its format: instances, panoptic (Kirillov et al., 2019), stuff.

Categories become classes in the order of their ids. Instances: pixels of no object are the class `background`; see
`PaintedTruth` for what lies on top and what is ignored. Panoptic and stuff: pixels without label are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edgeseg.data.base import IGNORE
from edgeseg.data.coco_index import CocoIndex, read_index
from edgeseg.data.coco_truth import CocoShapes, PanopticTruth
from edgeseg.data.drawn import PaintedTruth
from edgeseg.data.files import Layout, MaskFiles, Pair, Pairing, Problem, ReadTruth, in_name_order, pair_folders
from edgeseg.data.masks import MAX_CLASSES, MaskReader
from edgeseg.data.named import check_names, named_classes
from edgeseg.data.split_names import SPLIT_NAMES, WHOLE
from edgeseg_runtime.contract import Label, voc_color
from edgeseg_runtime.errors import DatasetError

LOOKED_FOR = (
    "COCO: annotations/instances_SPLIT.json (else panoptic_ or stuff_), annotations/SPLIT.json,"
    " SPLIT/_annotations.coco.json or annotations.json; pictures in images/SPLIT/, SPLIT/, images/ or beside the JSON"
)
LOOKED_FOR_PANOPTIC = "COCO panoptic: annotations/panoptic_SPLIT.json + annotations/panoptic_SPLIT/*.png"
LOOKED_FOR_STUFF = "COCO stuff: annotations/stuff_SPLIT.json + annotations/stuff_SPLIT_pixelmaps/*.png"
_SPLITS = SPLIT_NAMES | {"default": WHOLE}
_NEEDED = {"images", "categories"}


def recognise(root: Path) -> Layout | None:
    """Return the layout if `root` holds COCO annotations: instances, else panoptic, else stuff. Raises DatasetError."""
    return recognise_instances(root) or recognise_panoptic(root) or recognise_stuff(root)


def recognise_instances(root: Path) -> Layout | None:
    """Return the layout of instances."""
    found = _named(root, "instances") or _generic(root)
    indices = {split: read_index(path) for split, path in found.items()}
    indices = {split: index for split, index in indices.items() if index.lists >= _NEEDED}
    if not indices:
        return None
    first = _same_categories(indices.values())
    classes = named_classes(list(first.categories.values()), first.path, first.colors)
    by_id = {number: classes.indices[name] for number, name in first.categories.items()}
    shapes = CocoShapes({index.path: index for index in indices.values()}, by_id)
    truth = PaintedTruth(shapes, classes.background, ordered=False)
    splits = {split: _listed(root, index) for split, index in indices.items()}
    return Layout("COCO instances", classes.labels, truth, splits)


def recognise_panoptic(root: Path) -> Layout | None:
    """Return the layout of panoptic masks."""
    found = _named(root, "panoptic")
    folders = {split: path.with_suffix("") for split, path in found.items() if path.with_suffix("").is_dir()}
    indices = {split: read_index(found[split]) for split in folders}
    if not indices:
        return None
    first = _same_categories(indices.values())
    labels, by_id = _every_category(first)
    truth = PanopticTruth({folders[split]: index for split, index in indices.items()}, by_id)
    splits = {split: _listed(root, index, folders[split]) for split, index in indices.items()}
    return Layout("COCO panoptic", labels, truth, splits)


def recognise_stuff(root: Path) -> Layout | None:
    """Return the layout of stuff."""
    found = _named(root, "stuff")
    folders = {split: path.with_name(f"{path.stem}_pixelmaps") for split, path in found.items()}
    indices = {split: read_index(found[split]) for split, folder in folders.items() if folder.is_dir()}
    if not indices:
        return None
    labels, by_id = _every_category(_same_categories(indices.values()))
    truth: ReadTruth = MaskFiles(MaskReader({0: IGNORE} | by_id))
    splits = {}
    for split, index in indices.items():
        pictures = _pictures_folders(root, index.path)
        splits[split] = pair_folders(next((f for f in pictures if f.is_dir()), pictures[0]), folders[split])
    return Layout("COCO stuff", labels, truth, splits)


def _named(root: Path, kind: str) -> dict[str, Path]:
    """Find `KIND_SPLIT.json`; a year after the split is left out where one year is there."""
    found = sorted(path for folder in (root / "annotations", root) for path in folder.glob(f"{kind}_*.json"))
    by_year = {path.stem.removeprefix(f"{kind}_"): path for path in found}
    by_split: dict[str, list[str]] = {}
    for name in by_year:
        split = re.sub(r"\d{4}$", "", name)
        by_split.setdefault(_SPLITS.get(split, split), []).append(name)
    return {split if len(names) == 1 else name: by_year[name] for split, names in by_split.items() for name in names}


def _generic(root: Path) -> dict[str, Path]:
    places: list[tuple[str, Path]] = []
    for name, split in _SPLITS.items():
        places += [(split, root / "annotations" / f"{name}.json"), (split, root / name / "_annotations.coco.json")]
    for name in ("annotations.json", "_annotations.coco.json", "instances.json"):
        places += [(WHOLE, root / name), (WHOLE, root / "annotations" / name)]
    found: dict[str, Path] = {}
    for split, path in places:
        if path.is_file():
            found.setdefault(split, path)
    return found


def _same_categories(indices: Iterable[CocoIndex]) -> CocoIndex:
    first, *others = indices
    check_names(list(first.categories.values()), first.path)
    for other in others:
        if other.categories != first.categories:
            raise DatasetError(f"{other.path} has other categories than {first.path.name}: they must be the same")
    return first


def _every_category(index: CocoIndex) -> tuple[tuple[Label, ...], dict[int, int]]:
    if len(index.categories) > MAX_CLASSES:
        raise DatasetError(f"{index.path}: {len(index.categories)} categories; at most {MAX_CLASSES} fit a mask")
    named = enumerate(index.categories.values())
    labels = tuple(Label(name, index.colors.get(name, voc_color(number + 1))) for number, name in named)
    return labels, {category: number for number, category in enumerate(index.categories)}


def _pictures_folders(root: Path, path: Path) -> list[Path]:
    """Return where an annotation file's pictures may be, likeliest first."""
    name = path.stem.partition("_")[2] or path.stem
    split = re.sub(r"\d{4}$", "", name)
    inside = [root / "images" / name, root / name, root / "images" / split, root / split]
    return list(dict.fromkeys([*inside, root / "images", root, path.parent]))


def _listed(root: Path, index: CocoIndex, masks: Path | None = None) -> Pairing:
    """Pair the pictures that the file lists with its annotations, or with panoptic masks."""
    folders = [folder for folder in _pictures_folders(root, index.path) if folder.is_dir()]
    pairs, problems = [], []
    for key, image in index.images.items():
        place = next((folder for folder in folders if (folder / image.name).is_file()), None)
        truth = index.path if masks is None else masks / index.masks.get(key, f"{Path(image.name).stem}.png")
        if place is None:
            problems.append(Problem(index.path, f"lists the picture {image.name}, which is not there"))
        elif not truth.is_file():
            problems.append(Problem(place / image.name, f"has no mask in {masks}"))
        else:
            pairs.append(Pair(place / image.name, truth, key))
    if index.strays:
        problems.append(Problem(index.path, f"{index.strays} annotations are of pictures that it does not list"))
    return in_name_order(pairs, problems)
