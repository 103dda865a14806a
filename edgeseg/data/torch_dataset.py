"""A data set as PyTorch trains on it: resized by the contract, kept in memory, augmented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgeseg.data.augmentation import MaskAugmentation, Pair
from edgeseg.data.base import Indexed, Pictured, Sample, SegmentationData
from edgeseg.data.rare import RareClasses
from edgeseg.data.sampling import Draw
from edgeseg.data.varied import CACHE_BYTES, VariedSet
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import to_input, to_input_mask
from edgeseg_runtime.progress import Progress, silent

T = TypeVar("T")


class TrainingSet(VariedSet[Sample, Pair, tuple[Tensor, Tensor]]):
    """Item: (uint8 H×W×3 in the contract's colour order, uint8 H×W mask), both at the contract's size."""

    pixel_bytes = 4

    def __init__(
        self,
        data: SegmentationData,
        contract: Contract,
        augment: MaskAugmentation,
        seed: int,
        *,
        rare_temperature: float | None = None,
        cache_bytes: int = CACHE_BYTES,
        progress: Progress = silent,
    ) -> None:
        """Load the pictures; with `rare_temperature` also count their classes, see RareClasses."""
        super().__init__(data, contract, augment, seed, cache_bytes=cache_bytes, progress=progress)
        self._rare: RareClasses | None = None
        if rare_temperature is not None:
            counts = self._count_classes(progress)
            self._rare = RareClasses.of(counts, contract.height * contract.width, rare_temperature)

    @property
    def rare(self) -> RareClasses:
        """Which classes are rare, and which pictures hold them."""
        assert self._rare is not None, "give rare_temperature, so that classes are counted"
        return self._rare

    def to_picture(self, sample: Sample) -> Pair:
        """See VariedSet."""
        return Pair(to_input(sample.image, self.contract), to_input_mask(sample.mask, self.contract))

    def drawn(self, draw: Draw) -> Pair:
        """Return a pair that knows the class that it was drawn for."""
        return replace(self.picture(draw.index), wanted=draw.label)

    def to_item(self, picture: Pair) -> tuple[Tensor, Tensor]:
        """See VariedSet."""
        image, mask = (torch.from_numpy(np.ascontiguousarray(array)) for array in (picture.image, picture.mask))
        return image, mask

    def _count_classes(self, progress: Progress) -> npt.NDArray[np.int64]:
        """Return how many pixels of each class each picture has, (pictures, classes)."""
        counts = np.empty((len(self), len(self.contract.labels)), np.int64)
        for index in progress(range(len(self)), "counting classes", len(self)):
            counts[index] = np.bincount(self.picture(index).mask.ravel(), minlength=256)[: counts.shape[1]]
        return counts


def drawn_samples(data: Indexed[T], count: int, batch: int, seed: int) -> Iterator[list[T]]:
    """Yield `count` samples (all if there are fewer), drawn by `seed`, in lists of `batch`, the last one shorter."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:count].tolist()
    for first in range(0, len(order), batch):
        yield [data.read(index) for index in order[first : first + batch]]


def stack_frames(samples: Iterable[Pictured], contract: Contract) -> Tensor:
    """Return the pictures of samples as uint8 (N, H, W, 3) frames at the contract's size."""
    return torch.stack([torch.from_numpy(to_input(sample.image, contract)) for sample in samples])
