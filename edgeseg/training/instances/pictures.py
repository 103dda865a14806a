"""Objects, true and found, drawn for people to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from edgeseg.data.instances.base import InstanceSample
from edgeseg.data.instances.preview import tint
from edgeseg.training.batch_preview import fit, stripes, tile, write_page
from edgeseg_runtime.contract import Contract, voc_color
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image

OPACITY = 0.4
Item = tuple[Tensor, Mapping[str, Tensor]]
"""A frame and its target, as a training set gives them."""


def write_batch(path: Path, items: Sequence[Item], contract: Contract) -> None:
    """Write a PNG of training pictures with their objects' masks and boxes; crowds are striped: nobody learns them."""
    table = color_table(contract)
    tiles = []
    for frame, target in items:
        picture = tile(frame.numpy(), contract)
        masks = [fit(mask, picture) for mask in target["masks"].numpy().astype(np.uint8)]
        regions = [Region(0, 0, mask.astype(np.bool_)) for mask in masks]
        drawn = outlined(picture, zip(target["labels"].tolist(), regions, target["crowd"].tolist(), strict=True), table)
        scale = np.tile([picture.shape[1] / frame.shape[1], picture.shape[0] / frame.shape[0]], 2)
        for number, box in enumerate(target["boxes"].numpy() * scale):
            left, top, right, bottom = (round(float(value)) for value in box)
            cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), _own_color(number), 1)
        tiles.append((picture, drawn))
    write_page(path, tiles, contract)


def prediction_strip(sample: InstanceSample, result: InstanceResult, contract: Contract) -> Image:
    """Return picture, true objects and found ones side by side, BGR."""
    table = color_table(contract)
    truth = ((one.label, one.region, one.crowd) for one in sample.instances)
    found = ((int(label), region, False) for label, region in zip(result.labels, result.regions, strict=True))
    return np.hstack([sample.image, outlined(sample.image, truth, table), outlined(sample.image, found, table)])


def outlined(picture: Image, objects: Iterable[tuple[int, Region, bool]], table: Image) -> Image:
    """Return a BGR picture with objects (class, pixels, whether a crowd) in their classes' colours of `table`.

    Each has an outline of a colour of its own.
    """
    drawn = picture.copy()
    for number, (label, region, crowd) in enumerate(objects):
        if crowd:
            drawn[region.window][region.inside] = stripes(*region.inside.shape)[region.inside]
        else:
            tint(drawn, region, table[label, 0], _own_color(number), OPACITY)
    return drawn


def _own_color(number: int) -> tuple[int, int, int]:
    red, green, blue = voc_color(number % 254 + 1)
    return blue, green, red
