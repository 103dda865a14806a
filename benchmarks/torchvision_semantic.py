"""Semantic training as torchvision's references/segmentation does it, of the pictures that edgeseg reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image as Pictures
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models, tv_tensors
from torchvision.transforms import v2

from edgeseg.data.base import IGNORE, SegmentationData
from edgeseg_runtime.contract import IMAGENET_MEAN, IMAGENET_STD
from edgeseg_runtime.errors import ConfigError

SMALLEST, LARGEST = 0.5, 2.0
"""Of the shorter side that a crop is taken from, in shorter sides of the crop."""
RATE, MOMENTUM, WEIGHT_DECAY, POWER = 0.01, 0.9, 1e-4, 0.9
Item = tuple[Tensor, Tensor]


class Varied(Dataset[Item]):
    """Pictures at random sizes and places, half of them mirrored: float32 (3, H, W) RGB, normalised; int64 (H, W)."""

    def __init__(self, data: SegmentationData, size: tuple[int, int]) -> None:
        self.data = data
        side = min(size)
        self.vary = v2.Compose(
            [
                v2.RandomResize(int(SMALLEST * side), int(LARGEST * side)),
                v2.RandomHorizontalFlip(0.5),
                v2.RandomCrop(size, pad_if_needed=True, fill={Pictures.Image: 0, tv_tensors.Mask: IGNORE}),
                v2.ToImage(),
                v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}, scale=True),
                v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, item: int) -> Item:
        sample = self.data.read(item)
        picture = Pictures.fromarray(np.ascontiguousarray(sample.image[..., ::-1]))
        picture, mask = self.vary(picture, tv_tensors.Mask(torch.from_numpy(sample.mask)))
        return picture, mask


class TorchvisionTraining:
    """One of torchvision's networks, from scratch, in float32. Raises ConfigError for a network it has not."""

    def __init__(
        self, name: str, data: SegmentationData, size: tuple[int, int], batch: int, workers: int, epochs: int
    ) -> None:
        known = models.list_models(module=models.segmentation)
        if name not in known:
            raise ConfigError(f"{name} is not torchvision's, which has {', '.join(known)}")
        self.net: nn.Module = models.get_model(name, weights=None, weights_backbone=None, num_classes=len(data.labels))
        self.loader: DataLoader[Any] = DataLoader(
            Varied(data, size),
            batch,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
            persistent_workers=workers > 0,
        )
        self.optimizer = torch.optim.SGD(self.net.parameters(), RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
        self.schedule = torch.optim.lr_scheduler.PolynomialLR(self.optimizer, len(self.loader) * epochs, POWER)

    def learn(self) -> int:
        """Go over the pictures once; return how many there were."""
        self.net.train()
        for pictures, masks in self.loader:
            scores = self.net(pictures)["out"]
            loss = nn.functional.cross_entropy(scores, masks, ignore_index=IGNORE)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.schedule.step()
            float(loss.detach())  # as its log does
        return len(self.loader) * (self.loader.batch_size or 1)
