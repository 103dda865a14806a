"""Zoom and crop, at a place drawn anywhere or drawn so that a class is in sight."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Generator, Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from edgeseg.data.augmentation.pair import Fill, Pair, happens, whole
from edgeseg_runtime.preprocess import Image, Mask

Window = tuple[int, int, int, int]
"""Top, left, rows and columns of a part of a picture."""


class ScaleCrop:
    """Zoom by a random factor and keep the size: a crop enlarged, or the picture made small at a random place.

    One resize either way: enlarging first and cropping then would resize pixels that are thrown away. Crops of
    `class_crop` of the pictures hold a class drawn from those in the picture, each as likely; those of a picture that
    was chosen for a class hold that class.
    """

    def __init__(self, scale: tuple[float, float], fill: Fill, class_crop: float = 0.0) -> None:
        self.scale, self.fill, self.class_crop = scale, fill, class_crop

    def __call__(self, pair: Pair, generator: Generator) -> Pair:
        """Zoom in or out by a factor that is drawn log-uniformly, so that halving is as likely as doubling."""
        low, high = torch.tensor(self.scale).log()
        factor, down, right = torch.rand(3, generator=generator).tolist()
        zoom = float((low + (high - low) * factor).exp())
        height, width = pair.mask.shape
        top, left, rows, columns = zoom_window(zoom, height, width, (down, right))
        if zoom < 1:
            mask = resize_mask(pair.mask, rows, columns)
            border = (top, height - rows - top, left, width - columns - left, cv2.BORDER_CONSTANT)
            return pair.changed(
                shrunk(pair.image, (top, left, rows, columns), self.fill.color),
                cv2.copyMakeBorder(mask, *border, value=(self.fill.label,)),
            )
        label = pair.wanted
        if label is None and self.class_crop and happens(self.class_crop, generator):
            label = draw_class(pair.mask, self.fill.label, generator)
        if label is not None:
            top, left = place_on(pair.mask, label, rows, columns, generator) or (top, left)
        window = np.s_[top : top + rows, left : left + columns]
        image, mask = pair.image[window], pair.mask[window]
        return pair.changed(resize_image(image, height, width), resize_mask(mask, height, width))


def zoom_window(zoom: float, height: int, width: int, place: tuple[float, float]) -> Window:
    """Return what is enlarged to the whole picture for a zoom of 1 or more, else where the whole picture comes to lie.

    `place` says where between the upper and the lower, the left and the right border, 0..1.
    """
    rows, columns = max(1, round(height / max(zoom, 1 / zoom))), max(1, round(width / max(zoom, 1 / zoom)))
    return round(place[0] * (height - rows)), round(place[1] * (width - columns)), rows, columns


def shrunk(image: Image, window: Window, color: tuple[int, int, int]) -> Image:
    """Return the picture made small in a window of itself, with a colour around it."""
    top, left, rows, columns = window
    canvas = np.empty_like(image)
    canvas[:] = color
    canvas[top : top + rows, left : left + columns] = resize_image(image, rows, columns)
    return canvas


def draw_class(mask: Mask, ignore: int, generator: Generator) -> int | None:
    """Draw one of the classes in a mask, each as likely however many pixels it has; None if there is none."""
    counts = np.bincount(mask.ravel(), minlength=256)
    counts[ignore] = 0
    present = np.flatnonzero(counts)
    return int(present[whole(0, len(present) - 1, generator)]) if len(present) else None


def place_on(mask: Mask, label: int, rows: int, columns: int, generator: Generator) -> tuple[int, int] | None:
    """Draw the top left corner of a window that holds a pixel of the class `label`; None if there is no such pixel.

    Every pixel of the class is as likely to be the one, and every window that holds it.
    """
    pixels = np.flatnonzero(mask == label)
    if not len(pixels):
        return None
    row, column = divmod(int(pixels[whole(0, len(pixels) - 1, generator)]), mask.shape[1])
    top = whole(max(0, row - rows + 1), min(row, mask.shape[0] - rows), generator)
    left = whole(max(0, column - columns + 1), min(column, mask.shape[1] - columns), generator)
    return top, left


def resize_image(image: Image, height: int, width: int) -> Image:
    """Resize bilinearly, every pixel that is lost having its share in what is left."""
    # Of a contiguous picture torch takes the pixels as they lie, twice as fast as those of a part of one.
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    out: Tensor = F.resize(planes, [height, width], InterpolationMode.BILINEAR, antialias=True)
    return out.permute(1, 2, 0).numpy()


def resize_mask(mask: Mask, height: int, width: int) -> Mask:
    """Resize by nearest neighbour; the plain kind samples at pixel corners, half a pixel off from the picture."""
    planes = torch.from_numpy(np.ascontiguousarray(mask))[None]
    out: Tensor = F.resize(planes, [height, width], InterpolationMode.NEAREST_EXACT, antialias=False)
    return out[0].numpy()
