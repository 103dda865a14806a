"""`edgeseg data stats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.cli.console import answer_json, note, progress, table
from edgeseg.cli.data_config import SourceConfig

if TYPE_CHECKING:
    from edgeseg.data.base import SegmentationData
    from edgeseg.data.stats import SplitStats

SIZES = 3
"""Picture sizes that a table's title names; the rest is counted."""


def stats(*, source: SourceConfig, skip_bad: bool = False, json: bool = False) -> None:
    """Count pictures, sizes, and the pixels and pictures of each class.

    Every picture of the split is read, or of all splits if none is named.

    For example:

      edgeseg data stats --data camvid
      edgeseg data stats --data coco --split val --json

    Parameters
    ----------
    skip_bad
        Go on without pictures that cannot be used instead of stopping.
    json
        Print every number as JSON.
    """
    from edgeseg.data.open import bad_files, open_unchecked, splits
    from edgeseg.data.stats import count
    from edgeseg_runtime.errors import DatasetError

    answer = {}
    names = [source.split] if source.split else list(splits(source.data, source.format))
    if not names:
        raise DatasetError(f"{source.data}: no split holds pictures")
    for split in names:
        opened = open_unchecked(source.data, split, format=source.format)
        found = count(opened.data, opened.problems, progress)
        if found.problems and (not skip_bad or not found.pictures):
            raise bad_files(source.data, split, found.problems)
        if json:
            answer[split] = found.as_dict(tuple(label.name for label in opened.data.labels))
        else:
            _show(opened.data, split, found)
    if json:
        answer_json({"data": source.data, "splits": answer})


def _show(data: SegmentationData, split: str, found: SplitStats) -> None:
    from rich.markup import escape

    labelled, total = sum(found.pixels), sum(found.pixels) + found.ignored
    rows = [
        [escape(label.name), _percent(pixels, labelled), f"{pixels:,}", _percent(seen, found.pictures), f"{seen:,}"]
        for label, pixels, seen in zip(data.labels, found.pixels, found.present, strict=True)
    ]
    headers = ["class", "% of labelled pixels", "pixels", "% of pictures", "pictures"]
    table(f"{split}: {found.pictures:,} pictures, {_sizes(found)}", headers, rows)
    print(f"ignored: {_percent(found.ignored, total)} % of all pixels")
    if found.problems:
        note(f"{split}: {len(found.problems)} bad files left out")


def _sizes(found: SplitStats) -> str:
    shown = [f"{w}×{h} ({count:,})" if len(found.sizes) > 1 else f"{w}×{h}" for (h, w), count in found.sizes.items()]
    more = f" and {len(shown) - SIZES} more sizes" if len(shown) > SIZES else ""
    return ", ".join(shown[:SIZES]) + more


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "–"
