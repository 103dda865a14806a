"""COCO (Lin et al., 2014) and what programs write in its format: instances, panoptic (Kirillov et al., 2019), stuff.

Categories become classes in the order of their ids. Instances: pixels of no object are the class `background`; see
`PaintedTruth` for what lies on top and what is ignored. Panoptic and stuff: pixels without label are ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from edgeseg.data.base import IGNORE, BadFileError
from edgeseg.data.coco_index import CocoIndex, read_index
from edgeseg.data.coco_truth import CocoShapes, PanopticTruth
from edgeseg.data.drawn import PaintedTruth
from edgeseg.data.files import Layout, MaskFiles, Pair, Pairing, Problem, ReadTruth, in_name_order, pair_folders
from edgeseg.data.masks import MAX_CLASSES, MaskReader
from edgeseg.data.named import check_names, named_classes
from edgeseg.data.split_names import SPLIT_NAMES, WHOLE, by_split, split_files
from edgeseg_runtime.contract import Label, voc_color
from edgeseg_runtime.errors import DatasetError

LOOKED_FOR = (
    "COCO: annotations/instances_SPLIT.json (else panoptic_ or stuff_), annotations/SPLIT.json,"
    " SPLIT/_annotations.coco.json, annotations.json or result.json; pictures in images/SPLIT/, SPLIT/, images/ or"
    " beside the JSON"
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
    first, categories = next(iter(indices.values())), _categories(indices.values())
    classes = named_classes(list(categories.values()), first.path, first.colors)
    by_id = {number: classes.indices[name] for number, name in categories.items()}
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
    labels, by_id = _every_category(indices)
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
    labels, by_id = _every_category(indices)
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
    years: dict[str, list[str]] = {}
    for name in by_year:
        split = re.sub(r"\d{4}$", "", name)
        years.setdefault(_SPLITS.get(split.lower(), split), []).append(name)
    return {split if len(names) == 1 else name: by_year[name] for split, names in years.items() for name in names}


def _generic(root: Path) -> dict[str, Path]:
    inside = by_split(root, [path.parent for path in sorted(root.glob("*/_annotations.coco.json"))])
    found = {split: folder / "_annotations.coco.json" for split, folder in inside.items()}
    found |= split_files(root / "annotations", ".json")
    whole = ["annotations/default.json", "default/_annotations.coco.json"]
    for name in ("annotations.json", "_annotations.coco.json", "instances.json"):
        whole += [name, f"annotations/{name}"]
    alone = next((root / name for name in whole if (root / name).is_file()), None) or _label_studio(root)
    return found | ({WHOLE: alone} if alone else {})


def _label_studio(root: Path) -> Path | None:
    """Return Label Studio's file; others' results are called `result.json`, too."""
    path = root / "result.json"
    try:
        return path if path.is_file() and read_index(path).lists >= _NEEDED else None
    except BadFileError:
        return None


def _categories(indices: Collection[CocoIndex]) -> dict[int, str]:
    """Return the categories that all files list, without those that only group others in each of them."""
    classes = {number for index in indices for number in index.categories.keys() - index.groups}
    first, *others = indices
    found = [{n: name for n, name in index.categories.items() if n in classes} for index in indices]
    check_names(list(found[0].values()), first.path)
    for other, categories in zip(others, found[1:], strict=True):
        if categories != found[0]:
            raise DatasetError(f"{other.path} has other categories than {first.path.name}: they must be the same")
    return found[0]


def _every_category(indices: Mapping[str, CocoIndex]) -> tuple[tuple[Label, ...], dict[int, int]]:
    first, categories = next(iter(indices.values())), _categories(indices.values())
    if len(categories) > MAX_CLASSES:
        raise DatasetError(f"{first.path}: {len(categories)} categories; at most {MAX_CLASSES} fit a mask")
    named = enumerate(categories.values())
    labels = tuple(Label(name, first.colors.get(name, voc_color(number + 1))) for number, name in named)
    return labels, {category: number for number, category in enumerate(categories)}


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
    counts = Counter(Path(image.name).name for image in index.images.values())
    for key, image in index.images.items():
        # Label Studio names the folder on its server; a bare name will do where one picture alone has it.
        bare = Path(image.name).name
        names = (image.name, bare) if counts[bare] == 1 else (image.name,)
        picture = next((path for name in names for folder in folders if (path := folder / name).is_file()), None)
        truth = index.path if masks is None else masks / index.masks.get(key, f"{Path(image.name).stem}.png")
        if picture is None:
            problems.append(Problem(index.path, f"lists the picture {image.name}, which is not there"))
        elif not truth.is_file():
            problems.append(Problem(picture, f"has no mask in {masks}"))
        else:
            pairs.append(Pair(picture, truth, key))
    if index.strays:
        problems.append(Problem(index.path, f"{index.strays} annotations are of pictures that it does not list"))
    return in_name_order(pairs, problems)
