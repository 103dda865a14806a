"""A set of objects as PyTorch trains on it: resized by the contract, kept in memory, augmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from edgeseg.data.instances.base import InstanceSample
from edgeseg.data.instances.picture import Picture, mapped
from edgeseg.data.instances.regions import nearest, resized
from edgeseg.data.varied import VariedSet
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.preprocess import content_size, to_input

Target: TypeAlias = dict[str, Tensor]
"""Of n objects in an H×W input: `boxes` float32 (n, 4), left, top, right, bottom in pixels, the smallest that hold the
masks; `labels` int64 (n,); `masks` uint8 (n, H, W), 1 inside; `crowd` bool (n,)."""


class InstanceTrainingSet(VariedSet[InstanceSample, Picture, tuple[Tensor, Target]]):
    """Item: (uint8 H×W×3 in the contract's colour order, target), both at the contract's size.

    Objects that have no pixel left at that size are left out.
    """

    pixel_bytes = 3

    def to_picture(self, sample: InstanceSample) -> Picture:
        """See VariedSet."""
        return to_picture(sample, self.contract)

    def to_item(self, picture: Picture) -> tuple[Tensor, Target]:
        """See VariedSet."""
        return to_item(picture)


def to_picture(sample: InstanceSample, contract: Contract) -> Picture:
    """Bring picture and objects to the contract's size, as the runtime's preprocessing does."""
    height, width = sample.image.shape[:2]
    rows, columns = content_size(height, width, contract)
    down, across = nearest(height, rows), nearest(width, columns)
    objects = mapped(sample.instances, lambda region: resized(region, down, across))
    return Picture(to_input(sample.image, contract), tuple(objects))


def to_item(picture: Picture) -> tuple[Tensor, Target]:
    """Return a picture and its objects as a training set gives them."""
    return torch.from_numpy(np.ascontiguousarray(picture.image)), target(picture)


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
