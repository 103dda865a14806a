"""What lenses, sensors and encoders do to pictures, and things in front of them.

How strong each is, is drawn for every picture that it happens to.
"""

from __future__ import annotations

from math import exp, log, sqrt

import cv2
import torch
from torch import Generator

from edgeseg.data.augmentation.pair import Fill, Pair, PicturedT, happens, uniform, whole
from edgeseg_runtime.contract import ColorOrder

BLUR = (0.3, 1.5)
"""Sigma of the blur in pixels."""
BLUR_KERNEL = 5
NOISE = (2.0, 15.0)
"""Standard deviation of the noise in grey levels of 255."""
QUALITY = (20, 80)
"""JPEG quality of 100."""
CUT_AREA, CUT_ASPECT = (0.02, 0.2), (1 / 3, 3.0)
"""Share of the picture that is cut out, and height to width of the piece for a square picture."""


class Blur:
    """Blur a share of the pictures with a Gaussian."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, pair: PicturedT, generator: Generator) -> PicturedT:
        """Blur the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        sigma = uniform(*BLUR, generator)
        return pair.changed(cv2.GaussianBlur(pair.image, (BLUR_KERNEL, BLUR_KERNEL), sigma))


class Noise:
    """Add Gaussian noise to a share of the pictures, to each pixel and channel apart."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, pair: PicturedT, generator: Generator) -> PicturedT:
        """Add noise to the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        sigma = uniform(*NOISE, generator)
        noise = torch.randn(pair.image.shape, generator=generator).mul_(sigma).numpy()
        return pair.changed(cv2.add(pair.image, noise, dtype=cv2.CV_8U))  # rounds and saturates


class Jpeg:
    """Pass a share of the pictures through JPEG of low quality."""

    def __init__(self, share: float, order: ColorOrder) -> None:
        self.share, self.order = share, order

    def __call__(self, pair: PicturedT, generator: Generator) -> PicturedT:
        """Encode and decode the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        # JPEG treats blue worst, so the order of the channels matters.
        swap = self.order == "rgb"
        image = cv2.cvtColor(pair.image, cv2.COLOR_RGB2BGR) if swap else pair.image
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, whole(*QUALITY, generator)])
        assert done, "OpenCV cannot encode JPEG"
        read = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert read is not None, "OpenCV cannot decode JPEG"
        return pair.changed(cv2.cvtColor(read, cv2.COLOR_BGR2RGB) if swap else read)


class Cutout:
    """Cut a rectangle out of a share of the pictures (Cutout, arXiv:1708.04552); its pixels are ignored."""

    def __init__(self, share: float, fill: Fill) -> None:
        self.share, self.fill = share, fill

    def __call__(self, pair: Pair, generator: Generator) -> Pair:
        """Cut a piece out of the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        height, width = pair.mask.shape
        window = draw_cut(height, width, generator)
        image, mask = pair.image.copy(), pair.mask.copy()
        image[window], mask[window] = self.fill.color, self.fill.label
        return pair.changed(image, mask)


def draw_cut(height: int, width: int, generator: Generator) -> tuple[slice, slice]:
    """Draw the rows and columns of what is cut out of a picture."""
    area = uniform(*CUT_AREA, generator)
    aspect = exp(uniform(log(CUT_ASPECT[0]), log(CUT_ASPECT[1]), generator))
    rows = min(height, max(1, round(height * sqrt(area * aspect))))
    columns = min(width, max(1, round(width * sqrt(area / aspect))))
    top, left = whole(0, height - rows, generator), whole(0, width - columns, generator)
    return slice(top, top + rows), slice(left, left + columns)
