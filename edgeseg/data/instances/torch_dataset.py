"""A set of objects as PyTorch trains on it: resized by the contract, kept in memory, augmented."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from edgeseg.data.augmentation.pair import seeded
from edgeseg.data.instances.augment import InstanceAugment
from edgeseg.data.instances.base import Instance, InstanceData, InstanceSample
from edgeseg.data.instances.picture import Picture, mapped
from edgeseg.data.instances.regions import nearest, resized
from edgeseg.data.sampling import Draw
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import content_size, to_input
from edgeseg_runtime.progress import Progress, silent

CACHE_BYTES = 2 << 30
_WORKERS = 4

Target: TypeAlias = dict[str, Tensor]
"""Of n objects in an H×W input: `boxes` float32 (n, 4), left, top, right, bottom in pixels, the smallest that hold the
masks; `labels` int64 (n,); `masks` uint8 (n, H, W), 1 inside; `crowd` bool (n,)."""


class InstanceTrainingSet(Dataset[tuple[Tensor, Target]]):
    """Item: (uint8 H×W×3 in the contract's colour order, target), both at the contract's size.

    Pictures go through the runtime's own preprocessing before they are augmented; objects that have no pixel left then
    are left out. As many pictures as fit in `cache_bytes` are decoded once, here, before workers are started, so that
    forked workers share them. What augmentation draws for item `i` depends on (seed, epoch, i) only, and on how often a
    sampler drew it before: the number of workers changes nothing. Before workers are forked, call
    `cv2.setNumThreads(1)`: OpenCV's thread pool does not survive a fork, and a worker would wait for it for ever.
    """

    def __init__(
        self,
        data: InstanceData,
        contract: Contract,
        augment: InstanceAugment,
        seed: int,
        *,
        cache_bytes: int = CACHE_BYTES,
        progress: Progress = silent,
    ) -> None:
        self.data, self.contract, self.augment, self.seed = data, contract, augment, seed
        # Shared memory: persistent workers see the new epoch too.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        height, width = contract.size
        kept = min(len(data), cache_bytes // (3 * height * width))
        self._images: npt.NDArray[np.uint8] = np.empty((kept, height, width, 3), np.uint8)
        self._objects: list[tuple[Instance, ...]] = []
        with ThreadPoolExecutor(_WORKERS) as pool:
            loaded = pool.map(self._load, range(kept))
            for index, picture in enumerate(progress(loaded, "reading pictures", kept)):
                self._images[index] = picture.image
                self._objects.append(picture.objects)

    def __len__(self) -> int:
        return len(self.data)

    def set_epoch(self, epoch: int) -> None:
        """Draw other augmentations from now on; call it before iterating over the loader."""
        self._epoch[0] = epoch

    def picture(self, index: int) -> Picture:
        """Return picture `index` and its objects, not augmented."""
        if index < len(self._images):
            return Picture(self._images[index], self._objects[index])
        return self._load(index)

    def __getitem__(self, item: int | Draw) -> tuple[Tensor, Target]:
        draw = item if isinstance(item, Draw) else Draw(item)
        generator = seeded(self.seed, int(self._epoch[0]), draw.index, draw.repeat)
        varied = self.augment(self.picture(draw.index), generator, draw.index, self)
        return torch.from_numpy(np.ascontiguousarray(varied.image)), target(varied)

    def _load(self, index: int) -> Picture:
        return to_picture(self.data.read(index), self.contract)


def to_picture(sample: InstanceSample, contract: Contract) -> Picture:
    """Bring picture and objects to the contract's size, as the runtime's preprocessing does."""
    height, width = sample.image.shape[:2]
    rows, columns = content_size(height, width, contract)
    down, across = nearest(height, rows), nearest(width, columns)
    objects = mapped(sample.instances, lambda region: resized(region, down, across))
    return Picture(to_input(sample.image, contract), tuple(objects))


def target(picture: Picture) -> Target:
    """Return the objects of a picture as tensors."""
    masks = np.zeros((len(picture.objects), *picture.size), np.uint8)
    for mask, each in zip(masks, picture.objects, strict=True):
        mask[each.region.window] = each.region.inside
    return {
        "boxes": torch.tensor([each.box for each in picture.objects], dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor([each.label for each in picture.objects], dtype=torch.int64),
        "masks": torch.from_numpy(masks),
        "crowd": torch.tensor([each.crowd for each in picture.objects], dtype=torch.bool),
    }


def collate(items: Sequence[tuple[Tensor, Target]]) -> tuple[Tensor, list[Target]]:
    """Stack the frames of items and list their targets: what a loader is given as `collate_fn`."""
    return torch.stack([frame for frame, _ in items]), [found for _, found in items]
