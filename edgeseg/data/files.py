"""Data sets made of picture files and their truth: a mask file each, or shapes, or one file for many pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from edgeseg.data.base import BadFileError, Sample
from edgeseg.data.masks import MaskReader
from edgeseg.data.pictures import MASK_SUFFIXES, PICTURE_SUFFIXES, read_picture
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.preprocess import Mask

FileSetT = TypeVar("FileSetT", bound="FileSet")
DataT = TypeVar("DataT", covariant=True)
Size = tuple[int, int]
"""Height and width in pixels."""
NOT_READ = "its pictures are not read, for it is a folder in a folder of pictures: move them up"
LOSSY_MASK = "a mask in a format that blurs labels: save it as PNG"


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Pair:
    """A picture and where its truth is."""

    image: Path
    mask: Path
    """The file that holds it: a mask, or shapes to draw one of."""
    key: str = ""
    """Which of the truths in that file, where it holds many."""


class ReadTruth(Protocol):
    """Reads or draws the mask of a pair whose upright picture has `size`. A class, so that workers can be sent one."""

    def __call__(self, pair: Pair, size: Size) -> Mask:
        """Return uint8 H×W class indices. Raises BadFileError."""
        ...


@dataclass(frozen=True)
class MaskFiles:
    """The truth is a file of its own for each picture."""

    read: MaskReader

    def __call__(self, pair: Pair, size: Size) -> Mask:
        """Read the mask as stored."""
        mask = self.read(pair.mask)
        check_size(pair.mask, (mask.shape[0], mask.shape[1]), size)
        return mask


def check_size(path: Path, stored: Size, size: Size, what: str = "the mask") -> None:
    """Raise BadFileError if a truth was made for a picture of another size."""
    if stored != size:
        sizes = f"{stored[1]}×{stored[0]} px, its picture {size[1]}×{size[0]}"
        turned = " (once turned upright as its EXIF orientation says)" if size == stored[::-1] else ""
        raise BadFileError(path, f"{what} is {sizes}{turned}")


@dataclass(frozen=True)
class Pairing:
    """What a split's folders hold: the pairs, and the files that have no partner."""

    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Layout:
    """A recognised data set on disk."""

    title: str
    """What it was recognised as."""
    labels: tuple[Label, ...]
    read_truth: ReadTruth
    splits: dict[str, Pairing]
    closed: Mapping[str, str] = field(default_factory=dict)
    """Splits whose truth is not public, and what to say of them."""


@dataclass(frozen=True)
class FileSet:
    """One split of a recognised data set, whatever its truth is."""

    labels: tuple[Label, ...]
    description: str
    pairs: tuple[Pair, ...]

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        """Return the picture's file name without suffix."""
        return self.pairs[index].image.stem

    def without(self: FileSetT, bad: Iterable[Pair]) -> FileSetT:
        """Return the set without some pairs."""
        left_out = set(bad)
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair not in left_out))


@dataclass(frozen=True)
class PictureSet(FileSet):
    """One split of a layout: a `SegmentationData`."""

    read_truth: ReadTruth

    def read(self, index: int) -> Sample:
        """Read picture and mask. Raises BadFileError."""
        return read_pair(self.pairs[index], self.read_truth)


@dataclass(frozen=True)
class Unchecked(Generic[DataT]):
    """A split as it lies on disk: none of its files has been looked at."""

    data: DataT
    """All that is paired; reading a bad one raises BadFileError."""
    problems: tuple[Problem, ...] = ()
    """Files that lack a partner."""


def in_name_order(pairs: Iterable[Pair], problems: Iterable[Problem]) -> Pairing:
    """Return what was found in the order of the pictures' paths, whatever a list file's order is."""
    return Pairing(tuple(sorted(pairs, key=lambda pair: pair.image)), tuple(problems))


def read_pair(pair: Pair, read_truth: ReadTruth) -> Sample:
    """Read picture and truth. Raises BadFileError, also when their sizes differ, or no file could name the picture."""
    try:
        str(pair.image).encode()
    except UnicodeEncodeError as error:
        raise BadFileError(pair.image, "its name is no text in UTF-8: rename it") from error
    image = read_picture(pair.image)
    return Sample(image, read_truth(pair, (image.shape[0], image.shape[1])))


def list_pictures(folder: Path, suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> list[Path]:
    """Return the pictures in `folder` in name order; names that start with a dot are somebody's droppings."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))


def list_below(folder: Path, suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> list[Path]:
    """Return what `list_pictures` does, of the folders in `folder` too, in the order of their paths."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def one_of_each_name(paths: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    """Return the files without those that only their suffix tells from one before, and these as problems."""
    kept: dict[Path, Path] = {}
    first = [(path, kept.setdefault(path.with_suffix(""), path)) for path in paths]
    twice = [Problem(path, f"has the same name as {one.name}: keep one of them") for path, one in first if path != one]
    return list(kept.values()), twice


def pair_folders(
    images: Path, masks: Path, *, stem_of_mask: Callable[[str], str] = str, only: frozenset[str] | None = None
) -> Pairing:
    """Match pictures and masks by stem. `stem_of_mask` gives the picture's stem for the mask's; `only` limits both.

    A name that two files of a folder have is a problem, and so are pictures in folders of `images`: they are not read.
    """
    named, twice = one_of_each_name(list_pictures(images))
    drawn, drawn_twice = one_of_each_name(list_pictures(masks, MASK_SUFFIXES))
    pictures = {path.stem: path for path in named}
    found = {stem_of_mask(path.stem): path for path in drawn}
    lossy = {stem_of_mask(path.stem): path for path in list_pictures(masks, (".jpg", ".jpeg", ".webp"))}
    doubled = [*twice, *drawn_twice]
    pairs, problems = [], [item for item in doubled if only is None or stem_of_mask(item.path.stem) in only]
    if only is None:
        problems += [Problem(folder, NOT_READ) for folder in sorted(images.iterdir()) if _holds(folder)]
    for stem in sorted(only if only is not None else pictures.keys() | found.keys()):
        if stem in pictures and stem in found:
            pairs.append(Pair(pictures[stem], found[stem]))
        elif stem in pictures and stem in lossy:
            problems.append(Problem(lossy[stem], LOSSY_MASK))
        elif stem in pictures:
            problems.append(Problem(pictures[stem], f"has no mask in {masks}"))
        elif stem in found:
            problems.append(Problem(found[stem], f"has no picture in {images}"))
        else:
            problems.append(Problem(images / stem, "is listed, but there is no such picture"))
    return Pairing(tuple(pairs), tuple(problems))


def _holds(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".") and bool(list_below(folder))


def read_text(path: Path) -> str:
    """Return what a text file holds. Raises DatasetError if it is no text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a text file in UTF-8 that can be read") from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a text file that are not blank, with their numbers. Raises DatasetError if it is no text."""
    return [(number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]


def read_names(path: Path) -> list[str]:
    """Return the names in a file that has one a line; what begins with # is a remark. Raises DatasetError."""
    return [line for _, line in read_lines(path) if not line.startswith("#")]
