"""What all checks work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgeseg.data.doctor.findings import Finding
from edgeseg.data.doctor.look import Look
from edgeseg.data.items import Collection
from edgeseg_runtime.contract import Label


@dataclass(frozen=True)
class Seen:
    """A data set and the looks at all its pictures, in the collection's order."""

    collection: Collection
    looks: tuple[Look, ...]

    @property
    def labels(self) -> tuple[Label, ...]:
        """The class table."""
        return self.collection.labels

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, in order."""
        return self.collection.splits

    @cached_property
    def good(self) -> dict[str, tuple[int, ...]]:
        """Positions of the pictures that can be used, by split."""
        found: dict[str, list[int]] = {split: [] for split in self.splits}
        for position, look in enumerate(self.looks):
            if look.problem is None:
                found[look.item.split].append(position)
        return {split: tuple(positions) for split, positions in found.items()}

    @cached_property
    def pixels(self) -> dict[str, npt.NDArray[np.int64]]:
        """Pixels by class, pictures × 256, of the pictures that can be used, by split."""
        return {split: self._counts(positions) for split, positions in self.good.items()}

    def _counts(self, positions: Sequence[int]) -> npt.NDArray[np.int64]:
        masks = [self.looks[position].mask for position in positions]
        return np.array([mask.counts for mask in masks if mask is not None], np.int64).reshape(-1, 256)

    def mask_path(self, position: int) -> str:
        """Return the path of a picture's mask, or the picture's name where it has no file of its own."""
        item = self.looks[position].item
        return item.where if item.pair is None or item.pair.key else str(item.pair.mask)


Family = Callable[[Seen], Iterator[Finding]]
"""A family of checks."""


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 picture`, `2 pictures`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
