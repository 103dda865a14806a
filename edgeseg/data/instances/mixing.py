"""One picture made of several. Partners come from the same set and are varied on their own before they are mixed in."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import torch
from torch import Generator

from edgeseg.data.augmentation.mixing import draw_quarters, partner
from edgeseg.data.augmentation.pair import happens, whole
from edgeseg.data.instances.base import Instance
from edgeseg.data.instances.picture import Album, Picture, Step, cover_of, covered, mapped
from edgeseg.data.instances.regions import cut, moved, without


class CopyPaste:
    """Paste some objects of another picture where they lie there (arXiv:2012.07177), without blending.

    How many is drawn evenly from one to all, crowds apart. Objects below lose what is hidden, or all if too little is
    left.
    """

    def __init__(self, share: float, vary: Step) -> None:
        self.share, self.vary = share, vary

    def __call__(self, picture: Picture, generator: Generator, index: int, album: Album) -> Picture:
        """Paste objects over the picture, or leave it."""
        if not happens(self.share, generator):
            return picture
        other = partner(index, album, self.vary, generator)
        objects = [each for each in other.objects if not each.crowd]
        if not objects:
            return picture
        count = whole(1, len(objects), generator)
        chosen = torch.randperm(len(objects), generator=generator)[:count].tolist()
        return paste(picture, other, [objects[place] for place in chosen])


class Mosaic:
    """Put parts of four pictures around a point: the picture's own top left, three others' in the other corners.

    Each part is cut out at its full scale, at a place of its picture that is drawn.
    """

    def __init__(self, share: float, vary: Step) -> None:
        self.share, self.vary = share, vary

    def __call__(self, picture: Picture, generator: Generator, index: int, album: Album) -> Picture:
        """Make a mosaic that begins with the picture, or leave it."""
        if not happens(self.share, generator):
            return picture
        height, width = picture.size
        image = np.empty_like(picture.image)
        objects: list[Instance] = []
        for number, (down, across) in enumerate(draw_quarters(height, width, generator)):
            source = partner(index, album, self.vary, generator) if number else picture
            part = _part(source, down.stop - down.start, across.stop - across.start, generator)
            image[down, across] = part.image
            objects += mapped(part.objects, partial(moved, down=down.start, right=across.start))
        return picture.changed(image, objects)


def paste(picture: Picture, other: Picture, objects: list[Instance]) -> Picture:
    """Return the picture with objects of `other` over it; they come last."""
    cover = cover_of((each.region for each in objects), picture.size)
    image = picture.image.copy()
    cv2.copyTo(other.image, cover.astype(np.uint8), image)
    below = covered(picture.objects, lambda region: without(region, cover))
    return picture.changed(image, [*below, *objects])


def _part(picture: Picture, rows: int, columns: int, generator: Generator) -> Picture:
    """Cut a part out of a picture at a place that is drawn."""
    height, width = picture.size
    top, left = whole(0, height - rows, generator), whole(0, width - columns, generator)
    change = partial(cut, top=top, left=left, height=rows, width=columns)
    return Picture(picture.image[top : top + rows, left : left + columns], tuple(mapped(picture.objects, change)))
