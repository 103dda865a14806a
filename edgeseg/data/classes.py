"""Class tables: which number and which colour of a mask is which class.

One file in the data set's folder says it:

- `classes.csv` (or `class_dict.csv`): a header and the columns name, r, g, b; also `index`, the number in the masks,
  and `ignore` (1 or 0). Only `name` must be there.
- `classes.txt`: one name a line; the first is number 0. A line that begins with # is a remark, here and below.
- `labelmap.txt`: lines of `name:r,g,b::`, as CVAT writes them.
- `label_colors.txt`: lines of `r g b name`, as CamVid has them.
- `class_names.txt` or `labels.txt`: like `classes.txt`, as LabelMe's converter and PaddleSeg have them; where none of
  the others is there. The name `__ignore__` has no number.

A class called void, ignore, ignored, unlabelled or unlabeled is ignored, unless an `ignore` column says otherwise.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg.data.base import IGNORE, Rgb
from edgeseg.data.files import read_lines, read_names, read_text
from edgeseg.data.masks import MAX_CLASSES, MaskReader
from edgeseg_runtime.contract import Label, voc_color
from edgeseg_runtime.errors import DatasetError

VOID_NAMES = ("void", "ignore", "ignored", "unlabelled", "unlabeled")
_TRUE, _FALSE = ("1", "true", "yes"), ("", "0", "false", "no")


@dataclass(frozen=True)
class Row:
    """A class as its table gives it."""

    name: str
    color: Rgb | None
    number: int
    """What the masks hold for it."""
    ignored: bool


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set, in the order of their indices."""

    path: Path
    rows: tuple[Row, ...]
    numbered: bool
    """Whether the table itself gives the numbers, rather than its order."""

    def labels(self, palette: tuple[Rgb, ...] | None) -> tuple[Label, ...]:
        """Return what a contract needs. Colours come from the table, else from the masks' palette, else from VOC."""
        labels = []
        for row in self.rows:
            if not row.ignored:
                spare = palette[row.number] if palette and row.number < len(palette) else voc_color(row.number)
                labels.append(Label(row.name, row.color or spare))
        return tuple(labels)

    def mask_reader(self) -> MaskReader:
        """Return what reads the data set's masks."""
        numbers, colors, index = {}, {}, 0
        for row in self.rows:
            value = IGNORE if row.ignored else index
            index += not row.ignored
            numbers[row.number] = value
            if row.color is not None:
                colors[row.color] = value
        return MaskReader(numbers, colors or None, palette_colors=not self.numbered)


def read_class_table(root: Path) -> ClassTable | None:
    """Read the class table in `root`; None if there is none.

    Raises DatasetError for two tables, a line that cannot be read, and names, numbers or colours given twice.
    """
    there = [root / name for name in READERS if (root / name).is_file()]
    found = [path for path in there if path.name not in _SPARE] or there
    if not found:
        return None
    if len(found) > 1:
        raise DatasetError(f"{root} has {len(found)} class tables, {' and '.join(p.name for p in found)}: keep one")
    table = READERS[found[0].name](found[0])
    _check(table)
    return table


def read_label_colors(path: Path) -> ClassTable:
    """Read CamVid's `label_colors.txt`."""
    rows = []
    for number, line in read_lines(path):
        parts = line.split(maxsplit=3)
        if len(parts) != 4:
            raise DatasetError(f"{path}:{number}: expected 'r g b name', got {line!r}")
        rows.append((parts[3], _color(parts[:3], path, number)))
    return _ordered(path, rows)


def _read_labelmap(path: Path) -> ClassTable:
    rows = []
    for number, line in read_lines(path):
        if not line.startswith("#"):
            name, _, rest = line.partition(":")
            rows.append((name, _color(rest.partition(":")[0].split(","), path, number)))
    return _ordered(path, rows)


def _read_names(path: Path) -> ClassTable:
    return _ordered(path, [(name, None) for name in read_names(path) if name != "__ignore__"])


def _ordered(path: Path, rows: Sequence[tuple[str, Rgb | None]]) -> ClassTable:
    classes = (Row(name, color, number, name.lower() in VOID_NAMES) for number, (name, color) in enumerate(rows))
    return ClassTable(path, tuple(classes), numbered=False)


def _read_csv(path: Path) -> ClassTable:
    rows = []
    reader = csv.DictReader(io.StringIO(read_text(path)), skipinitialspace=True)
    columns = [column.strip().lower() for column in reader.fieldnames or ()]
    reader.fieldnames = columns
    if "name" not in columns:
        raise DatasetError(f"{path}: the first line must name the columns name, r, g, b; got {', '.join(columns)!r}")
    for position, raw in enumerate(reader):
        line = reader.line_num
        values = {key: (value or "").strip() for key, value in raw.items() if isinstance(key, str)}
        rgb = [values.get(channel, "") for channel in "rgb"]
        color = _color(rgb, path, line) if any(rgb) else None
        number = values.get("index") or str(position)
        if not number.isdecimal() or int(number) > 65535:
            raise DatasetError(f"{path}:{line}: index must be a number in 0..65535, got {number!r}")
        ignored = values["name"].lower() in VOID_NAMES
        if "ignore" in columns:
            ignored = _flag(values["ignore"], path, line)
        rows.append(Row(values["name"], color, int(number), ignored))
    return ClassTable(path, tuple(rows), numbered="index" in columns)


READERS: dict[str, Callable[[Path], ClassTable]] = {
    "classes.csv": _read_csv,
    "class_dict.csv": _read_csv,
    "classes.txt": _read_names,
    "labelmap.txt": _read_labelmap,
    "label_colors.txt": read_label_colors,
    "class_names.txt": _read_names,
    "labels.txt": _read_names,
}
_SPARE = ("class_names.txt", "labels.txt")
"""Names that may stand for something else beside another table."""


def _check(table: ClassTable) -> None:
    count = sum(not row.ignored for row in table.rows)
    if not 1 <= count <= MAX_CLASSES:
        raise DatasetError(f"{table.path}: a class table needs 1 to {MAX_CLASSES} classes, got {count}")
    if any(not row.name for row in table.rows):
        raise DatasetError(f"{table.path}: a class has no name")
    _check_unlike(table.path, "name", [row.name for row in table.rows])
    _check_unlike(table.path, "number", [row.number for row in table.rows])
    _check_unlike(table.path, "colour", [row.color for row in table.rows if row.color is not None])


def _check_unlike(path: Path, what: str, values: Sequence[object]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise DatasetError(f"{path}: the {what} {value} is given {count} times")


def _color(parts: list[str], path: Path, line: int) -> Rgb:
    values = [part.strip() for part in parts]
    if len(values) == 3 and all(value.isdecimal() and int(value) <= 255 for value in values):
        return int(values[0]), int(values[1]), int(values[2])
    raise DatasetError(f"{path}:{line}: a colour is three numbers in 0..255, got {', '.join(values)!r}")


def _flag(text: str, path: Path, line: int) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise DatasetError(f"{path}:{line}: ignore must be 1 or 0, got {text!r}")
