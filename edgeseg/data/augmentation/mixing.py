"""One picture made of several. Partners come from the same set and are varied on their own before they are mixed in."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import torch
from torch import Generator

from edgeseg.data.augmentation.pair import Album, Fill, Pair, PicturedT, Pictures, Step, Vary, happens, uniform, whole
from edgeseg.data.augmentation.zoom import place_on

CENTRE = (0.25, 0.75)
"""Where the four parts of a mosaic meet, as a share of height and width."""


class Mosaic:
    """Put parts of four pictures around a point: the picture's own top left, three others' in the other corners.

    Each part is cut out at its full scale, at a place of its picture that is drawn.
    """

    def __init__(self, share: float, vary: Step) -> None:
        self.share, self.vary = share, vary

    def __call__(self, pair: Pair, generator: Generator, index: int, album: Album) -> Pair:
        """Make a mosaic that begins with the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        height, width = pair.mask.shape
        image, mask = np.empty_like(pair.image), np.empty_like(pair.mask)
        for number, (down, across) in enumerate(draw_quarters(height, width, generator)):
            source = partner(index, album, self.vary, generator) if number else pair
            part = _part(source, down.stop - down.start, across.stop - across.start, generator)
            image[down, across], mask[down, across] = part.image, part.mask
        return pair.changed(image, mask)


def draw_quarters(height: int, width: int, generator: Generator) -> list[tuple[slice, slice]]:
    """Draw where four parts of a picture meet; return the rows and columns of each, top left first."""
    row, column = (round(uniform(*CENTRE, generator) * length) for length in (height, width))
    return list(product((slice(0, row), slice(row, height)), (slice(0, column), slice(column, width))))


class ClassMix:
    """Paste half of the classes of another picture where they lie there (Olsson et al., arXiv:2007.07936)."""

    def __init__(self, share: float, vary: Step, fill: Fill) -> None:
        self.share, self.vary, self.fill = share, vary, fill

    def __call__(self, pair: Pair, generator: Generator, index: int, album: Album) -> Pair:
        """Paste half of another picture's classes over the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        other = partner(index, album, self.vary, generator)
        present = np.flatnonzero(np.bincount(other.mask.ravel(), minlength=256))
        present = present[present != self.fill.label]
        order = torch.randperm(len(present), generator=generator).numpy()
        return paste(pair, other, present[order[: len(present) // 2]])


class CopyPaste:
    """Paste one class of another picture, all its pixels (after arXiv:2012.07177, which pastes objects).

    The class is drawn as rare-class sampling draws it, the other picture from those that hold it.
    """

    def __init__(self, share: float, vary: Step) -> None:
        self.share, self.vary = share, vary

    def __call__(self, pair: Pair, generator: Generator, index: int, album: Album) -> Pair:  # noqa: ARG002
        """Paste a class over the picture, or leave it."""
        if not happens(self.share, generator):
            return pair
        label, where = album.rare.draw(generator)
        other = self.vary(replace(album.picture(where), wanted=label), generator)
        return paste(pair, other, np.array([label]))


def partner(index: int, album: Pictures[PicturedT], vary: Vary[PicturedT], generator: Generator) -> PicturedT:
    """Draw another picture than `index` (the same, if there is no other) and vary it."""
    return vary(album.picture(draw_other(index, len(album), generator)), generator)


def draw_other(index: int, count: int, generator: Generator) -> int:
    """Draw one of `count` numbers from 0 that is not `index`; `index` itself if there is no other."""
    if count < 2:
        return index
    other = whole(0, count - 2, generator)
    return other + (other >= index)


def paste(pair: Pair, other: Pair, labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Pair:
    """Return the pair with every pixel of `other` that is of one of the classes `labels` over it."""
    table = np.zeros(256, np.uint8)
    table[labels] = 255
    chosen = cv2.LUT(other.mask, table)
    image, mask = pair.image.copy(), pair.mask.copy()
    cv2.copyTo(other.image, chosen, image)
    cv2.copyTo(other.mask, chosen, mask)
    return pair.changed(image, mask)


def _part(pair: Pair, rows: int, columns: int, generator: Generator) -> Pair:
    height, width = pair.mask.shape
    place = None if pair.wanted is None else place_on(pair.mask, pair.wanted, rows, columns, generator)
    top, left = place or (whole(0, height - rows, generator), whole(0, width - columns, generator))
    window = np.s_[top : top + rows, left : left + columns]
    return Pair(pair.image[window], pair.mask[window])
