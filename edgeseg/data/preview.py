"""A page of labelled pictures: each with its mask over it, and below them the classes' colours."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from edgeseg.data.base import IGNORE, Sample
from edgeseg_runtime.contract import Label
from edgeseg_runtime.draw import overlay
from edgeseg_runtime.preprocess import Image, Mask

_TILE = 320  # width of a picture on the page
_GAP, _LINE = 8, 24
_INK, _PAPER, _EDGE = (40, 40, 40), 255, (170, 170, 170)
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_OPACITY = 0.55
_STRIPE = 6  # pixels: what has no class is striped


def page(samples: Sequence[tuple[str, Sample]], labels: Sequence[Label], columns: int = 4) -> Image:
    """Return uint8 H×W×3 BGR: the named samples in rows of `columns`, then the legend of the classes in them."""
    columns = min(columns, len(samples))
    table = np.zeros((256, 1, 3), np.uint8)
    table[: len(labels), 0] = [label.color[::-1] for label in labels]
    ratios = [sample.image.shape[0] / sample.image.shape[1] for _, sample in samples]
    height = round(_TILE * float(np.clip(np.median(ratios), 0.3, 2)))
    tiles = [_tile(name, sample, table, height) for name, sample in samples]
    tiles += [np.full_like(tiles[0], _PAPER)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    seen = sorted({int(value) for _, sample in samples for value in np.unique(sample.mask)})
    return np.vstack([*rows, _legend(seen, labels, table, rows[0].shape[1])])


def _tile(name: str, sample: Sample, table: Image, height: int) -> Image:
    """Fit a sample into a tile, its name below."""
    scale = min(_TILE / sample.image.shape[1], height / sample.image.shape[0])
    size = max(1, round(sample.image.shape[1] * scale)), max(1, round(sample.image.shape[0] * scale))
    image = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST_EXACT)
    mask = cast(Mask, cv2.resize(sample.mask, size, interpolation=cv2.INTER_NEAREST_EXACT))
    drawn = overlay(cast(Image, image), mask, table, _OPACITY)
    ignored = mask == IGNORE
    drawn[ignored] = _striped(cast(Image, image))[ignored]
    tile = np.full((height + _GAP + _LINE, _TILE + _GAP, 3), _PAPER, np.uint8)
    top, left = _GAP + (height - size[1]) // 2, _GAP // 2 + (_TILE - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = drawn
    _write(tile, _cut(name, _TILE), _GAP // 2, _GAP + height + 16)
    return tile


def _striped(image: Image) -> Image:
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    stripe = ((rows + columns) // _STRIPE % 2).astype(np.uint8)[..., None]
    return cast(Image, image // 2 + 90 * stripe)


def _legend(seen: Sequence[int], labels: Sequence[Label], table: Image, width: int) -> Image:
    """Draw colour and name of the values in `seen`, in as many lines as it takes."""
    lines = [np.full((_LINE, width, 3), _PAPER, np.uint8)]
    x = _GAP
    for value in seen:
        text = _cut("no class, ignored" if value == IGNORE else labels[value].name, width - 3 * _GAP - 18)
        room = 18 + _length(text) + 2 * _GAP
        if x > _GAP and x + room > width:
            lines.append(np.full((_LINE, width, 3), _PAPER, np.uint8))
            x = _GAP
        swatch = np.full((13, 13, 3), table[value, 0], np.uint8)
        lines[-1][5:18, x : x + 13] = _striped(np.full_like(swatch, 120)) if value == IGNORE else swatch
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
