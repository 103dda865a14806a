"""How data sets are found on disk: which format fits a folder, and which of its splits is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from edgeseg.data import procedural
from edgeseg.data.files import Pairing
from edgeseg_runtime.errors import DatasetError

LayoutT = TypeVar("LayoutT", bound="HasSplits")


@dataclass(frozen=True)
class Format(Generic[LayoutT]):
    """A way in which data sets lie on disk."""

    recognise: Callable[[Path], LayoutT | None]
    looked_for: str
    stems: re.Pattern[str] | None = None
    """How the pictures of a well-known set are named: what is only laid out like it has other classes."""

    def is_named(self, layout: HasSplits) -> bool:
        """Whether some pictures are named as the set's are, or none is there."""
        if self.stems is None:
            return True
        pairings = layout.splits.values()
        found = [pair.image for pairing in pairings for pair in pairing.pairs]
        found += [problem.path for pairing in pairings for problem in pairing.problems]
        return not found or any(self.stems.match(path.stem) for path in found)


class HasSplits(Protocol):
    """A recognised data set."""

    @property
    def title(self) -> str:
        """What it was recognised as."""
        ...

    @property
    def splits(self) -> dict[str, Pairing]:
        """What each split's folders hold."""
        ...

    @property
    def closed(self) -> Mapping[str, str]:
        """Splits whose truth is not public, and what to say of them."""
        ...


def find_folder(spec: str) -> Path:
    """Return the folder that `spec` names. Raises DatasetError if there is none."""
    if (root := Path(spec)).is_file():
        raise DatasetError(f"{spec!r} is a file; name the folder that holds the data")
    if not root.is_dir():
        raise DatasetError(
            f"there is no folder {spec!r}; name a data folder, or {procedural.NAME} for the built-in set"
        )
    return root


def first_fit(root: Path, formats: Mapping[str, Format[LayoutT]]) -> LayoutT | None:
    """Return the layout by the first format that `root` fits, None if it fits none.

    Raises DatasetError, also for what is laid out as a well-known set, is not named like it, and fits nothing else.
    """
    alike = ""
    for name, each in formats.items():
        try:
            layout = each.recognise(root)
        except DatasetError as error:
            if not alike:
                raise
            raise DatasetError(f"{error}; it {alike}") from error
        if layout is not None and each.is_named(layout):
            return layout
        if layout is not None:
            alike = f"is laid out like {layout.title}, whose pictures have other names: if it is that, --format {name}"
    if alike:
        raise DatasetError(f"{root} {alike}")
    return None


def fits_none(spec: str, formats: Mapping[str, Format[LayoutT]]) -> DatasetError:
    """Return the error that says which layouts were looked for."""
    looked_for = "".join(f"\n  {each.looked_for}" for each in formats.values())
    return DatasetError(f"{spec} fits no known layout; looked for:{looked_for}")


def find_split(layout: HasSplits, spec: str, split: str) -> Pairing:
    """Return what a split holds. Raises DatasetError if its truth is not public, or if it is missing or empty."""
    if split in layout.closed:
        raise DatasetError(f"{spec} ({layout.title}): the split {split!r} {layout.closed[split]}")
    pairing = layout.splits.get(split, Pairing((), ()))
    if not pairing.pairs and not pairing.problems:
        filled = ", ".join(filled_splits(layout)) or "none"
        missing = "empty" if split in layout.splits else "not there"
        raise DatasetError(
            f"{spec} ({layout.title}): the split {split!r} is {missing}; splits that hold pictures: {filled}"
        )
    return pairing


def filled_splits(layout: HasSplits) -> tuple[str, ...]:
    """Return the names of the splits that hold pictures."""
    return tuple(name for name, pairing in layout.splits.items() if pairing.pairs)
