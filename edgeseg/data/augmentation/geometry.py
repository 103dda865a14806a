"""Mirror, turn and tilt. The mask goes where the picture goes."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians, tan

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Generator

from edgeseg.data.augmentation.pair import Fill, Pair, happens, uniform

Matrix = npt.NDArray[np.float64]
"""3×3, from pixel centres (x, y, 1) of the picture to those of the result."""
ACROSS, DOWN = 1, 0


class Flip:
    """Mirror a share of the pictures, across or down."""

    def __init__(self, share: float, axis: int = ACROSS) -> None:
        self.share, self.axis = share, axis

    def __call__(self, pair: Pair, generator: Generator) -> Pair:
        """Mirror the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        return pair.changed(cv2.flip(pair.image, self.axis), cv2.flip(pair.mask, self.axis))


@dataclass(frozen=True)
class Warp:
    """Rotate, shear, shift and tilt a share of the pictures, all in one resampling.

    Each strength is the largest that is drawn, evenly, and either way; see AugmentConfig for the units.
    """

    share: float
    fill: Fill
    rotate: float = 0.0
    shear: float = 0.0
    translate: float = 0.0
    perspective: float = 0.0

    def __call__(self, pair: Pair, generator: Generator) -> Pair:
        """Warp the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        return warp(pair, self.draw(pair.mask.shape, generator), self.fill)

    def draw(self, size: tuple[int, ...], generator: Generator) -> Matrix:
        """Draw the way of a picture of `size` (height, width)."""
        height, width = size
        angle = uniform(-self.rotate, self.rotate, generator)
        across, down = (uniform(-self.shear, self.shear, generator) for _ in range(2))
        right, below = (uniform(-self.translate, self.translate, generator) for _ in range(2))
        inwards = self.perspective * torch.rand(4, 2, generator=generator).numpy()
        affine_part = affine((height, width), angle, (across, down), (right * width, below * height))
        return affine_part @ tilt((height, width), inwards)


def affine(size: tuple[int, int], angle: float, shear: tuple[float, float], shift: tuple[float, float]) -> Matrix:
    """Return the matrix that shears, then rotates about the centre (degrees, clockwise on the screen), then shifts.

    `shear` is in degrees across and down, `shift` in pixels right and down.
    """
    height, width = size
    to_centre = np.eye(3)
    to_centre[:2, 2] = (1 - width) / 2, (1 - height) / 2
    back = np.eye(3)
    back[:2, 2] = (width - 1) / 2 + shift[0], (height - 1) / 2 + shift[1]
    cosine, sine = np.cos(radians(angle)), np.sin(radians(angle))
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    across = np.array([[1.0, tan(radians(shear[0])), 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    down = np.array([[1.0, 0.0, 0.0], [tan(radians(shear[1])), 1.0, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(back @ turn @ down @ across @ to_centre, np.float64)


def tilt(size: tuple[int, int], inwards: npt.NDArray[np.floating]) -> Matrix:
    """Return the matrix that moves each corner inwards by a share of width and height.

    `inwards` is 4×2: across and down, for the corners top left, top right, bottom right, bottom left.
    """
    height, width = size
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    towards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    moved = corners + towards * inwards * (width, height)
    return np.asarray(cv2.getPerspectiveTransform(corners, moved.astype(np.float32)), np.float64)


def warp(pair: Pair, matrix: Matrix, fill: Fill) -> Pair:
    """Resample picture (bilinear) and mask (nearest) so that pixel centre p of the old one comes to `matrix` p."""
    height, width = pair.mask.shape
    size, linear, nearest = (width, height), cv2.INTER_LINEAR, cv2.INTER_NEAREST
    if np.array_equal(matrix[2], [0, 0, 1]):
        image = cv2.warpAffine(pair.image, matrix[:2], size, flags=linear, borderValue=fill.color)
        mask = cv2.warpAffine(pair.mask, matrix[:2], size, flags=nearest, borderValue=(fill.label,))
    else:
        image = cv2.warpPerspective(pair.image, matrix, size, flags=linear, borderValue=fill.color)
        mask = cv2.warpPerspective(pair.mask, matrix, size, flags=nearest, borderValue=(fill.label,))
    return pair.changed(image, mask)
