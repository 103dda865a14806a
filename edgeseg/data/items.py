"""Every picture of every split of a data set, not read yet: what is checked, divided and converted as a whole."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from edgeseg.data import procedural
from edgeseg.data.base import Sample, SegmentationData
from edgeseg.data.files import Layout, Pair, PictureSet, Problem, ReadTruth
from edgeseg.data.open import recognise
from edgeseg.data.recognition import HasSplits
from edgeseg.data.split_names import SPLITS
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.progress import Progress

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, eq=False)
class Item:
    """One labelled picture and where it is."""

    split: str
    data: SegmentationData = field(repr=False)
    index: int
    pair: Pair | None
    """Its files; None where picture and truth are drawn by code."""

    @property
    def name(self) -> str:
        """What a person calls the picture."""
        return self.data.name(self.index)

    @property
    def where(self) -> str:
        """The picture's path, or its name where there is no file."""
        return self.name if self.pair is None else str(self.pair.image)

    def read(self) -> Sample:
        """Read picture and truth. Raises DatasetError."""
        return self.data.read(self.index)


@dataclass(frozen=True, eq=False)
class Collection:
    """A data set, whole."""

    spec: str
    title: str
    """What it was recognised as."""
    labels: tuple[Label, ...]
    items: tuple[Item, ...] = field(repr=False)
    """In the order of the splits, then of the names."""
    problems: Mapping[str, tuple[Problem, ...]] = field(repr=False)
    """Files that have no partner, by split."""
    read_truth: ReadTruth | None
    """None where the truth is drawn by code."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that were asked for."""
        return tuple(self.problems)


def open_collection(spec: str, *, format: str = "auto", splits: Sequence[str] = ()) -> Collection:
    """Find every picture of `splits` of the data set that `spec` names, without reading any.

    Where none is named: all, but for those that only repeat others, such as trainval.

    Raises DatasetError for an unknown format, a folder that fits none, and a split that is not there.
    """
    if format in ("auto", procedural.NAME) and spec.partition(":")[0] == procedural.NAME:
        wanted = chosen_splits(spec, splits, tuple(procedural.SPLITS))
        return _drawn(spec, procedural.ProceduralSpec.parse(spec), wanted)
    layout = recognise(spec, format)
    filled = tuple(split for split, pairing in layout.splits.items() if pairing.pairs or pairing.problems)
    return _stored(spec, layout, chosen_splits(spec, splits, filled if splits else without_unions(layout, filled)))


def without_unions(layout: HasSplits, splits: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out each split whose pictures are, each of them, in smaller splits, but never train, val or test.

    Of those it is a fault that their pictures are in others.
    """
    pairs = {split: set(layout.splits[split].pairs) for split in splits}
    smaller: set[Pair] = set()
    kept = set()
    for split in sorted(splits, key=lambda name: len(pairs[name])):
        if split in SPLITS or not pairs[split] or not pairs[split] <= smaller:
            kept.add(split)
        smaller |= pairs[split]
    return tuple(split for split in splits if split in kept)


def chosen_splits(spec: str, asked: Sequence[str], there: tuple[str, ...]) -> tuple[str, ...]:
    """Return the splits that are asked for, else all there are. Raises DatasetError for one that is not there."""
    for split in asked:
        if split not in there:
            raise DatasetError(f"{spec} has no split {split!r}; it has {', '.join(there) or 'none'}")
    if not there:
        raise DatasetError(f"{spec}: no split holds pictures")
    return tuple(dict.fromkeys(asked)) or there


def _drawn(spec: str, parsed: procedural.ProceduralSpec, splits: tuple[str, ...]) -> Collection:
    sets = {split: procedural.ProceduralData(parsed, split) for split in splits}
    items = tuple(Item(split, data, index, None) for split, data in sets.items() for index in range(len(data)))
    labels = next(iter(sets.values())).labels
    return Collection(spec, "built-in street scenes", labels, items, dict.fromkeys(splits, ()), None)


def _stored(spec: str, layout: Layout, splits: tuple[str, ...]) -> Collection:
    sets = {split: PictureSet(layout.labels, "", layout.splits[split].pairs, layout.read_truth) for split in splits}
    items = tuple(Item(s, data, index, pair) for s, data in sets.items() for index, pair in enumerate(data.pairs))
    problems = {split: layout.splits[split].problems for split in splits}
    return Collection(spec, layout.title, layout.labels, items, problems, layout.read_truth)


def in_threads(
    work: Callable[[S], T], items: Iterable[S], workers: int, progress: Progress, label: str, total: int
) -> Generator[T, None, None]:
    """Yield `work(item)` in the items' order, several at once. What has not begun when the caller stops never does."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from progress(pool.map(work, items), label, total)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
