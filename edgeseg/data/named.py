"""Class tables of formats that name the class of each shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg.data.base import IGNORE, Rgb, ShapeError
from edgeseg.data.classes import VOID_NAMES
from edgeseg.data.masks import MAX_CLASSES
from edgeseg_runtime.contract import Label, voc_color
from edgeseg_runtime.errors import DatasetError

BACKGROUND = "background"
_BACKGROUND_NAMES = (BACKGROUND, "_background_")
_IGNORED_NAMES = (*VOID_NAMES, "__ignore__")
_SHOWN = 12


@dataclass(frozen=True)
class NamedClasses:
    """Which class index a name stands for."""

    labels: tuple[Label, ...]
    indices: Mapping[str, int]
    """Class index, or IGNORE, by the name that the format uses."""
    background: int
    """What pixels without a shape are."""

    def index(self, name: str) -> int:
        """Return the class index for a name, or IGNORE. Raises ShapeError for one that is not in the table."""
        if name not in self.indices:
            known = list(self.indices)
            more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
            raise ShapeError(f"the class {name!r} is not in the list: {', '.join(known[:_SHOWN])}{more}")
        return self.indices[name]


def named_classes(names: Sequence[str], source: Path, colors: Mapping[str, Rgb] | None = None) -> NamedClasses:
    """Return the class table for names in their order.

    The class `background`, index 0, comes before them unless one of them is called so; `__ignore__`, void and the
    like are no class but ignored. `source` is the file that errors name. Raises DatasetError for a name given twice,
    none, or too many.
    """
    check_names(names, source)
    kept = [name for name in names if name.lower() not in _IGNORED_NAMES]
    own = next((name for name in kept if name.lower() in _BACKGROUND_NAMES), None)
    ordered = kept if own is not None else [BACKGROUND, *kept]
    if len(ordered) > MAX_CLASSES:
        raise DatasetError(f"{source}: {len(ordered)} classes, background included; at most {MAX_CLASSES} fit a mask")
    given = colors or {}
    labels = tuple(Label(name, given.get(name, voc_color(index))) for index, name in enumerate(ordered))
    indices = {name: ordered.index(name) if name in kept else IGNORE for name in names}
    return NamedClasses(labels, indices, ordered.index(own or BACKGROUND))


def check_names(names: Sequence[str], source: Path) -> None:
    """Raise DatasetError unless there are names, none empty and none given twice."""
    if not names:
        raise DatasetError(f"{source}: no class is named")
    for name, count in Counter(names).items():
        if count > 1:
            raise DatasetError(f"{source}: the class {name!r} is named {count} times")
        if not name:
            raise DatasetError(f"{source}: a class has no name")
