"""A page of labelled pictures: each with its mask over it, and below them the classes' colours."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from edgeseg.data.base import IGNORE, Rgb, Sample
from edgeseg_runtime.contract import Label
from edgeseg_runtime.draw import overlay
from edgeseg_runtime.preprocess import Image, Mask

_TILE = 320  # width of a picture on the page
_GAP, _LINE = 8, 24
_INK, _PAPER, _EDGE = (40, 40, 40), 255, (170, 170, 170)
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
OPACITY = 0.55
_STRIPE = 6  # pixels: what has no class is striped


def page(samples: Sequence[tuple[str, Sample]], labels: Sequence[Label], columns: int = 4) -> Image:
    """Return uint8 H×W×3 BGR: the named samples in rows of `columns`, then the legend of the classes in them."""
    table = np.zeros((256, 1, 3), np.uint8)
    table[: len(labels), 0] = [label.color[::-1] for label in labels]
    height = tile_height([sample.image for _, sample in samples])
    tiles = [(name, _drawn(sample, table, height)) for name, sample in samples]
    seen = sorted({int(value) for _, sample in samples for value in np.unique(sample.mask)})
    legend = [
        ("no class, ignored", None) if value == IGNORE else (labels[value].name, labels[value].color) for value in seen
    ]
    return lay_out(tiles, height, legend, columns)


def lay_out(
    tiles: Sequence[tuple[str, Image]], height: int, legend: Sequence[tuple[str, Rgb | None]], columns: int
) -> Image:
    """Return a page: named pictures that fit into tiles of `height` in rows, then names with their colours.

    What has no colour is striped.
    """
    columns = min(columns, len(tiles))
    framed = [_tile(name, picture, height) for name, picture in tiles]
    framed += [np.full_like(framed[0], _PAPER)] * (-len(framed) % columns)
    rows = [np.hstack(framed[first : first + columns]) for first in range(0, len(framed), columns)]
    return np.vstack([*rows, _legend(legend, rows[0].shape[1])])


def tile_height(pictures: Sequence[Image]) -> int:
    """Return the height of the tiles on a page of `pictures`."""
    ratios = [picture.shape[0] / picture.shape[1] for picture in pictures]
    return round(_TILE * float(np.clip(np.median(ratios), 0.3, 2)))


def fitted(image: Image, height: int) -> Image:
    """Return a picture as large as it can be in a tile of `height`."""
    scale = min(_TILE / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST_EXACT
    return cast(Image, cv2.resize(image, size, interpolation=interpolation))


def _drawn(sample: Sample, table: Image, height: int) -> Image:
    """Fit a sample into a tile, its mask over it."""
    image = fitted(sample.image, height)
    mask = cast(Mask, cv2.resize(sample.mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT))
    drawn = overlay(image, mask, table, OPACITY)
    ignored = mask == IGNORE
    drawn[ignored] = striped(image)[ignored]
    return drawn


def _tile(name: str, picture: Image, height: int) -> Image:
    """Put a picture into the middle of a tile, its name below."""
    rows, columns = picture.shape[:2]
    tile = np.full((height + _GAP + _LINE, _TILE + _GAP, 3), _PAPER, np.uint8)
    top, left = _GAP + (height - rows) // 2, _GAP // 2 + (_TILE - columns) // 2
    tile[top : top + rows, left : left + columns] = picture
    _write(tile, _cut(name, _TILE), _GAP // 2, _GAP + height + 16)
    return tile


def striped(image: Image) -> Image:
    """Return a darker picture with stripes: what is not learnt."""
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    stripe = ((rows + columns) // _STRIPE % 2).astype(np.uint8)[..., None]
    return cast(Image, image // 2 + 90 * stripe)


def _legend(entries: Sequence[tuple[str, Rgb | None]], width: int) -> Image:
    """Draw names and their colours, in as many lines as it takes."""
    lines = [np.full((_LINE, width, 3), _PAPER, np.uint8)]
    x = _GAP
    for name, color in entries:
        text = _cut(name, width - 3 * _GAP - 18)
        room = 18 + _length(text) + 2 * _GAP
        if x > _GAP and x + room > width:
            lines.append(np.full((_LINE, width, 3), _PAPER, np.uint8))
            x = _GAP
        swatch = np.full((13, 13, 3), (120, 120, 120) if color is None else color[::-1], np.uint8)
        lines[-1][5:18, x : x + 13] = striped(swatch) if color is None else swatch
        cv2.rectangle(lines[-1], (x, 5), (x + 12, 17), _EDGE, 1)
        _write(lines[-1], text, x + 18, 16)
        x += room
    return np.vstack([*lines, np.full((_GAP, width, 3), _PAPER, np.uint8)])


def _cut(text: str, width: int) -> str:
    """Shorten a text from its front until it fits, for it is the end of file names that differs."""
    if _length(text) <= width:
        return text
    kept = bisect_right(range(len(text)), width, key=lambda count: _length(f"...{text[len(text) - count :]}")) - 1
    return f"...{text[len(text) - max(0, kept) :]}"


def _length(text: str) -> int:
    return int(cv2.getTextSize(text, _FONT, _SCALE, 1)[0][0])


def _write(picture: Image, text: str, x: int, y: int) -> None:
    cv2.putText(picture, text, (x, y), _FONT, _SCALE, _INK, 1, cv2.LINE_AA)
