"""What training sets of all tasks share: pictures that are kept in memory and varied anew in every epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import torch
from torch import Generator
from torch.utils.data import Dataset

from edgeseg.data.augmentation.pair import seeded
from edgeseg.data.base import Indexed
from edgeseg.data.sampling import Draw
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.progress import Progress, silent

CACHE_BYTES = 2 << 30
_WORKERS = 4

SampleT = TypeVar("SampleT")
PictureT = TypeVar("PictureT")
ItemT = TypeVar("ItemT", covariant=True)


class VariedSet(Dataset[ItemT], ABC, Generic[SampleT, PictureT, ItemT]):
    """Samples as they are read, pictures with their truth at the contract's size, and items as a loader takes them.

    Pictures go through the runtime's own preprocessing before they are augmented. As many as fit in `cache_bytes` are
    decoded once, here, before workers are started, so that forked workers share them. What augmentation draws for item
    `i` depends on (seed, epoch, i) only, and on how often a sampler drew it before: the number of workers changes
    nothing, also where pictures are mixed with others. Before workers are forked, call `cv2.setNumThreads(1)`:
    OpenCV's thread pool does not survive a fork, and a worker would wait for it for ever.
    """

    pixel_bytes: int
    """What a pixel takes in memory, its truth included where that is as large as the picture."""

    def __init__(
        self,
        data: Indexed[SampleT],
        contract: Contract,
        augment: Callable[[PictureT, Generator, int, Any], PictureT],
        seed: int,
        *,
        cache_bytes: int = CACHE_BYTES,
        progress: Progress = silent,
    ) -> None:
        self.data, self.contract, self.augment, self.seed = data, contract, augment, seed
        # Shared memory: persistent workers see the new epoch too.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        kept = min(len(data), cache_bytes // (self.pixel_bytes * contract.height * contract.width))
        with ThreadPoolExecutor(_WORKERS) as pool:
            self._kept = list(progress(pool.map(self._load, range(kept)), "reading pictures", kept))

    @abstractmethod
    def to_picture(self, sample: SampleT) -> PictureT:
        """Bring a sample to the contract's size, as the runtime's preprocessing does."""

    @abstractmethod
    def to_item(self, picture: PictureT) -> ItemT:
        """Return a picture as a loader takes it."""

    def __len__(self) -> int:
        return len(self.data)

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on; call it before iterating over the loader."""
        self._epoch[0] = epoch

    def picture(self, index: int) -> PictureT:
        """Return picture `index` and its truth, not augmented."""
        return self._kept[index] if index < len(self._kept) else self._load(index)

    def drawn(self, draw: Draw) -> PictureT:
        """Return the picture that a sampler drew, not augmented."""
        return self.picture(draw.index)

    def __getitem__(self, item: int | Draw) -> ItemT:
        draw = item if isinstance(item, Draw) else Draw(item)
        generator = seeded(self.seed, int(self._epoch[0]), draw.index, draw.repeat)
        return self.to_item(self.augment(self.drawn(draw), generator, draw.index, self))

    def _load(self, index: int) -> PictureT:
        return self.to_picture(self.data.read(index))
