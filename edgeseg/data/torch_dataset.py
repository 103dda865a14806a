"""A data set as PyTorch trains on it: resized by the contract, kept in memory, augmented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edgeseg.data.augmentation import MaskAugmentation, Pair
from edgeseg.data.augmentation.pair import seeded
from edgeseg.data.base import Sample, SegmentationData
from edgeseg.data.rare import RareClasses
from edgeseg.data.sampling import Draw
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import Image, Mask, to_input, to_input_mask
from edgeseg_runtime.progress import Progress, silent

CACHE_BYTES = 2 << 30
_WORKERS = 4


class TrainingSet(Dataset[tuple[Tensor, Tensor]]):
    """Item: (uint8 H×W×3 in the contract's colour order, uint8 H×W mask), both at the contract's size.

    Pictures go through the runtime's own preprocessing before they are augmented. As many as fit in `cache_bytes` are
    decoded once, here, before workers are started, so that forked workers share them. What augmentation draws for item
    `i` depends on (seed, epoch, i) only, and on how often a sampler drew it before: the number of workers changes
    nothing, also where pictures are mixed with others. Before workers are forked, call `cv2.setNumThreads(1)`:
    OpenCV's thread pool does not survive a fork, and a worker would wait for it for ever.
    """

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
        self.data, self.contract, self.augment, self.seed = data, contract, augment, seed
        # Shared memory: persistent workers see the new epoch too.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        height, width = contract.size
        kept = min(len(data), cache_bytes // (4 * height * width))
        self._images: npt.NDArray[np.uint8] = np.empty((kept, height, width, 3), np.uint8)
        self._masks: npt.NDArray[np.uint8] = np.empty((kept, height, width), np.uint8)
        with ThreadPoolExecutor(_WORKERS) as pool:
            loaded = pool.map(self._load, range(kept))
            for index, (image, mask) in enumerate(progress(loaded, "reading pictures", kept)):
                self._images[index], self._masks[index] = image, mask
        self._rare: RareClasses | None = None
        if rare_temperature is not None:
            counts = self._count_classes(progress)
            self._rare = RareClasses.of(counts, height * width, rare_temperature)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def rare(self) -> RareClasses:
        """Which classes are rare, and which pictures hold them."""
        assert self._rare is not None, "give rare_temperature, so that classes are counted"
        return self._rare

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on; call it before iterating over the loader."""
        self._epoch[0] = epoch

    def pair(self, index: int) -> Pair:
        """Return picture `index` and its mask, not augmented."""
        if index < len(self._images):
            return Pair(self._images[index], self._masks[index])
        return Pair(*self._load(index))

    def __getitem__(self, item: int | Draw) -> tuple[Tensor, Tensor]:
        draw = item if isinstance(item, Draw) else Draw(item)
        generator = seeded(self.seed, int(self._epoch[0]), draw.index, draw.repeat)
        pair = replace(self.pair(draw.index), wanted=draw.label)
        varied = self.augment(pair, generator, draw.index, self)
        picture, truth = (torch.from_numpy(np.ascontiguousarray(array)) for array in (varied.image, varied.mask))
        return picture, truth

    def _load(self, index: int) -> tuple[Image, Mask]:
        sample = self.data.read(index)
        return to_input(sample.image, self.contract), to_input_mask(sample.mask, self.contract)

    def _count_classes(self, progress: Progress) -> npt.NDArray[np.int64]:
        """Return how many pixels of each class each picture has, (pictures, classes)."""
        counts = np.empty((len(self), len(self.contract.labels)), np.int64)
        for index in progress(range(len(self)), "counting classes", len(self)):
            counts[index] = np.bincount(self.pair(index).mask.ravel(), minlength=256)[: counts.shape[1]]
        return counts


def drawn_samples(data: SegmentationData, count: int, batch: int, seed: int) -> Iterator[list[Sample]]:
    """Yield `count` samples (all if there are fewer), drawn by `seed`, in lists of `batch`, the last one shorter."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:count].tolist()
    for first in range(0, len(order), batch):
        yield [data.read(index) for index in order[first : first + batch]]


def stack_frames(samples: Iterable[Sample], contract: Contract) -> Tensor:
    """Return the pictures of samples as uint8 (N, H, W, 3) frames at the contract's size."""
    return torch.stack([torch.from_numpy(to_input(sample.image, contract)) for sample in samples])
