"""`edgeseg data preview`."""

from __future__ import annotations

from pathlib import Path

from edgeseg.cli.console import note
from edgeseg.cli.data_config import SourceConfig
from edgeseg_runtime.errors import ConfigError

MOST = 200
"""Pictures on a page: more would be a file that few programs open."""


def preview(*, source: SourceConfig, out: Path, count: int = 12, columns: int = 4) -> None:
    """Draw a page of pictures with their masks over them and the classes' colours below.

    The pictures are spread evenly over the split: `train`, or the first one, if
    none is named. Pixels without a class are striped.

    For example:

      edgeseg data preview --data VOCdevkit --out preview.png
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

    from edgeseg.data.open import open_unchecked, splits
    from edgeseg.data.preview import page
    from edgeseg_runtime.errors import DatasetError
    from edgeseg_runtime.files import write_bytes

    names = splits(source.data, source.format) if source.split is None else (source.split,)
    if not names:
        raise DatasetError(f"{source.data}: no split holds pictures")
    split = "train" if "train" in names else names[0]
    data = open_unchecked(source.data, split, format=source.format).data
    if not len(data):
        raise DatasetError(f"{source.data}, split {split}: no picture has a mask; edgeseg data stats says why")
    shown = min(count, len(data))
    chosen = [index * len(data) // shown for index in range(shown)]
    samples = [(data.name(index), data.read(index)) for index in chosen]
    ok, encoded = cv2.imencode(out.suffix, page(samples, data.labels, columns))
    assert ok
    write_bytes(out, encoded.tobytes())
    note(f"{out}: {shown} of {len(data)} pictures of {split}")
