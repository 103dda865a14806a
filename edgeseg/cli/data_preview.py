"""`edgeseg data preview`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import note
from edgeseg.cli.data_config import SourceConfig
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg_runtime.preprocess import Image

MOST = 200
"""Pictures on a page: more would be a file that few programs open."""


def preview(*, source: SourceConfig, out: Path, count: int = 12, columns: int = 4) -> None:
    """Draw a page of pictures with their masks over them and the classes' colours below.

    The pictures are spread evenly over the split: `train`, or the first one, if
    none is named. Pixels without a class are striped. With --task instance each
    object is outlined and named.

    For example:

      edgeseg data preview --data VOCdevkit --out preview.png
      edgeseg data preview --data coco --task instance --out objects.png
      edgeseg data preview --data coco --split val --count 30 --columns 6 --out val.png

    Parameters
    ----------
    out
        PNG or JPEG file to write.
    count
        Pictures on the page.
    columns
        Pictures in a row.
    """
    if not 1 <= count <= MOST:
        raise ConfigError(f"--count must be between 1 and {MOST}, got {count}")
    if columns < 1:
        raise ConfigError(f"--columns must be at least 1, got {columns}")
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"--out must end in .png or .jpg, got {out.name!r}")
    import cv2

    from edgeseg_runtime.files import write_bytes

    splits, opened, page = _of_objects() if source.chosen_task() == "instance" else _of_classes()
    split = _split(source, splits)
    data = opened(source.data, split, format=source.format).data
    chosen = _spread(source, split, len(data), count)
    samples = [(data.name(index), data.read(index)) for index in chosen]
    ok, encoded = cv2.imencode(out.suffix, page(samples, data.labels, columns))
    assert ok
    write_bytes(out, encoded.tobytes())
    note(f"{out}: {len(chosen)} of {len(data)} pictures of {split}")


Way = tuple[Callable[[str, str], tuple[str, ...]], Callable[..., Any], Callable[[list[Any], Any, int], "Image"]]
"""What lists the splits of a folder, what opens one of them, and what draws samples of it."""


def _of_classes() -> Way:
    from edgeseg.data.open import open_unchecked, splits
    from edgeseg.data.preview import page

    return splits, open_unchecked, page


def _of_objects() -> Way:
    from edgeseg.data.instances.open import open_unchecked, splits
    from edgeseg.data.instances.preview import page

    return splits, open_unchecked, page


def _split(source: SourceConfig, splits: Callable[[str, str], tuple[str, ...]]) -> str:
    """Return the split that is shown. Raises DatasetError if there is none."""
    from edgeseg_runtime.errors import DatasetError

    names = splits(source.data, source.format) if source.split is None else (source.split,)
    if not names:
        raise DatasetError(f"{source.data}: no split holds pictures")
    return "train" if "train" in names else names[0]


def _spread(source: SourceConfig, split: str, there: int, count: int) -> list[int]:
    """Return `count` numbers spread evenly over those that are there, all if there are fewer."""
    from edgeseg_runtime.errors import DatasetError

    if not there:
        raise DatasetError(f"{source.data}, split {split}: no picture has a mask; edgeseg data stats says why")
    shown = min(count, there)
    return [index * there // shown for index in range(shown)]
