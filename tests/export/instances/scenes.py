"""Discs and rectangles on a noisy ground, each with its truth, and a network small enough to learn them in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeseg.models.blocks import ConvBnRelu, DepthwiseSeparable
from edgeseg_export.instances.parity.objects import InstancePicture
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.preprocess import Image

SIZE = (64, 96)
STRIDE, PROTOTYPES = 8, 6


@dataclass(frozen=True, eq=False)
class Thing:
    """An object as the gate takes it."""

    label: int
    region: Region
    crowd: bool = False


def scene(seed: int) -> InstancePicture:
    """Draw two to four things that do not touch: reddish discs (class 0) and bluish rectangles (class 1)."""
    generator = np.random.default_rng(seed)
    height, width = SIZE
    image = generator.normal(90, 12, (height, width, 3))
    taken = np.zeros(SIZE, np.uint8)
    things = []
    for _ in range(int(generator.integers(2, 5))):
        label = int(generator.integers(2))
        rows, columns = (int(generator.integers(14, 27)) for _ in range(2))
        top, left = int(generator.integers(0, height - rows)), int(generator.integers(0, width - columns))
        mask = np.zeros(SIZE, np.uint8)
        if label == 0:
            cv2.ellipse(
                mask, (left + columns // 2, top + rows // 2), (columns // 2 - 1, rows // 2 - 1), 0, 0, 360, 1, -1
            )
        else:
            mask[top : top + rows, left : left + columns] = 1
        if taken[cv2.dilate(mask, np.ones((5, 5), np.uint8)) > 0].any():
            continue
        taken |= mask
        color = ((60, 60, 220), (220, 90, 60))[label] + generator.normal(0, 15, 3)
        image[mask > 0] = color + generator.normal(0, 8, (int(mask.sum()), 3))
        x, y, wide, high = cv2.boundingRect(mask)
        things.append(Thing(label, Region(y, x, mask[y : y + high, x : x + wide] > 0)))
    return InstancePicture(f"scene {seed}", np.clip(image, 0, 255).astype(np.uint8), tuple(things))


class Output(NamedTuple):
    """What a network of prototypes gives."""

    boxes: Tensor
    logits: Tensor
    coefficients: Tensor
    prototypes: Tensor


class SmallPrototypeNet(nn.Module):
    """One candidate a cell of 8×8 pixels, prototypes at a quarter of the input."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(ConvBnRelu(3, 16, 3, 2), DepthwiseSeparable(16, 24, 2), ConvBnRelu(24, 24, 3))
        self.coarse = nn.Sequential(
            DepthwiseSeparable(24, 32, 2), ConvBnRelu(32, 32, 3), ConvBnRelu(32, 32, 3), ConvBnRelu(32, 32, 3)
        )
        self.prototypes = nn.Conv2d(24, PROTOTYPES, 1)
        self.logits = nn.Conv2d(32, classes, 1)
        self.distances = nn.Conv2d(32, 4, 1)
        self.coefficients = nn.Conv2d(32, PROTOTYPES, 1)
        nn.init.constant_(self.logits.bias, -3.0)  # type: ignore[arg-type]
        nn.init.constant_(self.distances.bias, 1.5)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Output:
        """Map (N, 3, H, W) to candidates."""
        fine = self.fine(images)
        coarse = self.coarse(fine)
        logits, distances, coefficients = (
            head(coarse).flatten(2).transpose(1, 2) for head in (self.logits, self.distances, self.coefficients)
        )
        rows, columns = coarse.shape[-2:]
        x = (torch.arange(columns, device=images.device) + 0.5).repeat(rows) * STRIDE
        y = (torch.arange(rows, device=images.device) + 0.5).repeat_interleave(columns) * STRIDE
        centres = torch.stack([x, y], dim=1)
        reach = distances.relu() * STRIDE
        boxes = torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], dim=2)
        return Output(boxes, logits, coefficients, self.prototypes(fine))


def loss_of(output: Output, pictures: list[InstancePicture]) -> Tensor:
    """Return the sum of losses of scores (focal), boxes (distance) and masks; cells near its middle are an object."""
    total = torch.zeros(())
    count = 0
    for index, picture in enumerate(pictures):
        target = torch.zeros_like(output.logits[index])
        assert picture.truth is not None
        for thing in picture.truth:
            rows, columns = thing.region.inside.shape
            box = torch.tensor(
                [thing.region.left, thing.region.top, thing.region.left + columns, thing.region.top + rows]
            ).float()
            middle = (box[:2] + box[2:]) / 2
            size = SIZE[1] // STRIDE
            near = [
                row * size + column
                for row in range(SIZE[0] // STRIDE)
                for column in range(size)
                if abs((column + 0.5) * STRIDE - middle[0]) <= 7 and abs((row + 0.5) * STRIDE - middle[1]) <= 7
            ]
            target[near, thing.label] = 1
            total = total + 0.1 * F.l1_loss(output.boxes[index, near], box.expand(len(near), 4), reduction="sum")
            mask = torch.zeros(SIZE)
            mask[thing.region.top : thing.region.top + rows, thing.region.left : thing.region.left + columns] = (
                torch.from_numpy(thing.region.inside).float()
            )
            coarse = F.avg_pool2d(mask[None, None], 4)[0, 0]
            sums = torch.einsum("np,phw->nhw", output.coefficients[index, near], output.prototypes[index])
            top, left, bottom, right = (
                thing.region.top // 4,
                thing.region.left // 4,
                -(-(thing.region.top + rows) // 4) + 1,
                -(-(thing.region.left + columns) // 4) + 1,
            )
            top, left = max(0, top - 1), max(0, left - 1)
            inside = sums[:, top:bottom, left:right]
            total = total + len(near) * F.binary_cross_entropy_with_logits(
                inside, coarse[top:bottom, left:right].expand_as(inside)
            )
            count += len(near)
        surprise = F.binary_cross_entropy_with_logits(output.logits[index], target, reduction="none")
        off = (output.logits[index].sigmoid() - target).abs() ** 2
        total = total + 2 * (surprise * off).sum()
    return total / max(count, 1)


def image_of(picture: InstancePicture) -> Image:
    """Return its frame."""
    return picture.image
