"""`edgeseg data stats`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import answer_json, note, progress, table
from edgeseg.cli.data_config import SourceConfig

if TYPE_CHECKING:
    from edgeseg.data.base import SegmentationData
    from edgeseg.data.instances.base import InstanceData
    from edgeseg.data.instances.stats import ObjectStats
    from edgeseg.data.stats import SplitStats

SIZES = 3
"""Picture sizes that a table's title names; the rest is counted."""


def stats(*, source: SourceConfig, skip_bad: bool = False, json: bool = False) -> None:
    """Count pictures, sizes, and the pixels and pictures of each class.

    Every picture of the split is read, or of all splits if none is named. With
    --task instance objects are counted, by class and by COCO's three sizes.

    For example:

      edgeseg data stats --data camvid
      edgeseg data stats --data coco --split val --json
      edgeseg data stats --data coco --task instance

    Parameters
    ----------
    skip_bad
        Go on without pictures that cannot be used instead of stopping.
    json
        Print every number as JSON.
    """
    from edgeseg.data.check import bad_files

    of_objects = source.chosen_task() == "instance"
    splits, look, show = _of_objects(source) if of_objects else _of_classes(source)
    answer = {}
    for split in _wanted(source, splits):
        data, found = look(split)
        if found.problems and (not skip_bad or not found.pictures):
            raise bad_files(source.data, split, found.problems)
        if json:
            answer[split] = found.as_dict(tuple(label.name for label in data.labels))
        else:
            show(data, split, found)
    if json:
        answer_json({"data": source.data, "splits": answer})


Way = tuple[Callable[[str, str], tuple[str, ...]], Callable[[str], tuple[Any, Any]], Callable[[Any, str, Any], None]]
"""What lists the splits of a folder, what opens and counts one of them, and what prints the counts."""


def _of_classes(source: SourceConfig) -> Way:
    from edgeseg.data.open import open_unchecked, splits
    from edgeseg.data.stats import count

    def look(split: str) -> tuple[SegmentationData, SplitStats]:
        opened = open_unchecked(source.data, split, format=source.format)
        return opened.data, count(opened.data, opened.problems, progress)

    return splits, look, _show


def _of_objects(source: SourceConfig) -> Way:
    from edgeseg.data.instances.open import open_unchecked, splits
    from edgeseg.data.instances.stats import count

    def look(split: str) -> tuple[InstanceData, ObjectStats]:
        opened = open_unchecked(source.data, split, format=source.format)
        return opened.data, count(opened.data, opened.problems, progress)

    return splits, look, _show_objects


def _wanted(source: SourceConfig, splits: Callable[[str, str], tuple[str, ...]]) -> list[str]:
    """Return the splits that are counted. Raises DatasetError if there is none."""
    from edgeseg_runtime.errors import DatasetError

    names = [source.split] if source.split else list(splits(source.data, source.format))
    if not names:
        raise DatasetError(f"{source.data}: no split holds pictures")
    return names


def _show(data: SegmentationData, split: str, found: SplitStats) -> None:
    labelled, total = sum(found.pixels), sum(found.pixels) + found.ignored
    rows = [
        [label.name, _percent(pixels, labelled), f"{pixels:,}", _percent(seen, found.pictures), f"{seen:,}"]
        for label, pixels, seen in zip(data.labels, found.pixels, found.present, strict=True)
    ]
    headers = ["class", "% of labelled pixels", "pixels", "% of pictures", "pictures"]
    table(f"{split}: {found.pictures:,} pictures, {_sizes(found.sizes)}", headers, rows)
    print(f"ignored: {_percent(found.ignored, total)} % of all pixels")
    if found.problems:
        note(f"{split}: {len(found.problems)} bad files left out")


def _show_objects(data: InstanceData, split: str, found: ObjectStats) -> None:
    from edgeseg.data.instances.stats import SIZES as OBJECT_SIZES

    total = int(found.objects.sum())
    rows = [
        [
            label.name,
            f"{sum(sizes):,}",
            _percent(sum(sizes), total),
            *(f"{size:,}" for size in sizes),
            f"{seen:,}",
        ]
        for label, sizes, seen in zip(data.labels, found.objects.tolist(), found.present, strict=True)
    ]
    headers = ["class", "objects", "%", *OBJECT_SIZES, "pictures"]
    table(f"{split}: {found.pictures:,} pictures, {total:,} objects, {_sizes(found.sizes)}", headers, rows)
    if found.pictures:
        each = found.in_a_picture
        print(
            f"objects in a picture: {total / len(each):.1f} on average, {each[len(each) // 2]} in the median,"
            f" {each[-1]} at most; none in {each.count(0):,} pictures"
        )
    print(f"small is below 32², large from 96² pixels on; crowds: {found.crowds:,}")
    if found.problems:
        note(f"{split}: {len(found.problems)} bad files left out")


def _sizes(sizes: dict[tuple[int, int], int]) -> str:
    shown = [f"{w}×{h} ({count:,})" if len(sizes) > 1 else f"{w}×{h}" for (h, w), count in sizes.items()]
    more = f" and {len(shown) - SIZES} more sizes" if len(shown) > SIZES else ""
    return ", ".join(shown[:SIZES]) + more


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "–"
