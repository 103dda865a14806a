"""Mirror, zoom, turn and cut out. The objects go where the picture goes."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
from torch import Generator

from edgeseg.data.augmentation.corruption import draw_cut
from edgeseg.data.augmentation.geometry import ACROSS, DOWN, Warp
from edgeseg.data.augmentation.pair import happens, uniform
from edgeseg.data.augmentation.zoom import resize_image, shrunk, zoom_window
from edgeseg.data.instances.picture import Picture, covered, mapped
from edgeseg.data.instances.regions import cut, mirrored, moved, nearest, resized, warped, without
from edgeseg_runtime.instances.region import Region

Color = tuple[int, int, int]
"""What is seen where there is no picture, in the contract's colour order."""


class Mirror:
    """Mirror a share of the pictures, across or down."""

    def __init__(self, share: float, axis: int = ACROSS) -> None:
        self.share, self.axis = share, axis

    def __call__(self, picture: Picture, generator: Generator) -> Picture:
        """Mirror the picture, or leave it."""
        if not happens(self.share, generator):
            return picture
        height, width = picture.size
        change = partial(mirrored, height=height, width=width, down=self.axis == DOWN)
        return picture.changed(cv2.flip(picture.image, self.axis), mapped(picture.objects, change))


class ScaleJitter:
    """Zoom by a random factor and keep the size: large-scale jitter (arXiv:2012.07177), where it is 0.1 to 2.

    The factor is drawn evenly, as there, and the place too: of the part that is enlarged, or of the picture made small.
    """

    def __init__(self, scale: tuple[float, float], color: Color) -> None:
        self.scale, self.color = scale, color

    def __call__(self, picture: Picture, generator: Generator) -> Picture:
        """Zoom in or out."""
        zoom = uniform(*self.scale, generator)
        place = uniform(0, 1, generator), uniform(0, 1, generator)
        height, width = picture.size
        top, left, rows, columns = window = zoom_window(zoom, height, width, place)
        if zoom < 1:
            down, across = nearest(height, rows), nearest(width, columns)
            objects = mapped(picture.objects, lambda region: moved(resized(region, down, across), top, left))
            return picture.changed(shrunk(picture.image, window, self.color), objects)
        image = picture.image[top : top + rows, left : left + columns]
        down, across = nearest(rows, height), nearest(columns, width)
        seen = mapped(picture.objects, lambda region: cut(region, top, left, rows, columns))
        return picture.changed(resize_image(image, height, width), mapped(seen, lambda r: resized(r, down, across)))


class Turn:
    """Rotate, shear, shift and tilt a share of the pictures, all in one resampling."""

    def __init__(self, warp: Warp) -> None:
        self.warp = warp

    def __call__(self, picture: Picture, generator: Generator) -> Picture:
        """Warp the picture, or leave it."""
        if not happens(self.warp.share, generator):
            return picture
        height, width = picture.size
        matrix = self.warp.draw((height, width), generator)
        image = cv2.warpPerspective(
            picture.image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=self.warp.fill.color
        )
        change = partial(warped, matrix=matrix, height=height, width=width)
        return picture.changed(image, mapped(picture.objects, change))


class Cutout:
    """Cut a rectangle out of a share of the pictures (Cutout, arXiv:1708.04552); objects lose what is not seen."""

    def __init__(self, share: float, color: Color) -> None:
        self.share, self.color = share, color

    def __call__(self, picture: Picture, generator: Generator) -> Picture:
        """Cut a piece out of the picture, or leave it."""
        if not happens(self.share, generator):
            return picture
        window = draw_cut(*picture.size, generator)
        image, cover = picture.image.copy(), np.zeros(picture.size, np.bool_)
        image[window], cover[window] = self.color, True

        def hide(region: Region) -> Region:
            return without(region, cover)

        return picture.changed(image, covered(picture.objects, hide))
