"""A picture of what a run learns from: the first augmented pictures, their truth over them, and the classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table, overlay
from edgeseg_runtime.files import write_bytes
from edgeseg_runtime.preprocess import Image, Mask

BATCH = "batch.png"
SHOWN, COLUMNS = 8, 2
"""Pictures that are shown, and how many of them, each with its mask, stand in a row."""
TILE_WIDTH = 320
GAP, LINE = 8, 26
INK, PAPER, EDGE = (40, 40, 40), (255, 255, 255), (170, 170, 170)
STRIPES = (90, 230)
"""Grey levels of what is ignored, striped so that it looks like no class."""
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
BOX = 14


def first_items(loader: DataLoader[Any], epoch: int = 1) -> list[Any]:
    """Return the first items of the loader's first batch in `epoch`, SHOWN at most, without starting its workers."""
    dataset, sampler = cast(Any, loader.dataset), cast(Any, loader.sampler)
    dataset.set_epoch(epoch)
    sampler.set_epoch(epoch)
    return [dataset[draw] for draw in islice(sampler, min(SHOWN, loader.batch_size or SHOWN))]


def write_batch(path: Path, items: Sequence[tuple[Tensor, Tensor]], contract: Contract) -> None:
    """Write a PNG of uint8 (H, W, 3) pictures in the contract's colour order and their uint8 (H, W) masks."""
    pairs = []
    for image, mask in items:
        picture = tile(image.numpy(), contract)
        pairs.append((picture, _covered(picture, mask.numpy(), contract)))
    write_page(path, pairs, contract)


def write_page(path: Path, tiles: Sequence[tuple[Image, Image]], contract: Contract) -> None:
    """Write a PNG of pictures, each with the same picture and its truth over it at its right, and the classes below."""
    pairs = [np.hstack([_framed(plain), _framed(covered)]) for plain, covered in tiles]
    height, width = pairs[0].shape[:2]
    blank = np.full((height, width, 3), PAPER, np.uint8)
    pairs += [blank] * (-len(pairs) % COLUMNS)
    rows = [np.hstack(pairs[first : first + COLUMNS]) for first in range(0, len(pairs), COLUMNS)]
    whole = np.vstack([*rows, legend(contract, rows[0].shape[1])])
    done, data = cv2.imencode(".png", whole)
    assert done
    write_bytes(path, data.tobytes())


def legend(contract: Contract, width: int) -> Image:
    """Draw every class's colour and name, and how ignored pixels look, in lines of `width` pixels."""
    entries = [(label.name, np.full((BOX, BOX, 3), label.color[::-1], np.uint8)) for label in contract.labels]
    entries.append(("ignored", stripes(BOX, BOX)))
    lines, x = [_line(width)], GAP
    for name, box in entries:
        length = BOX + 6 + int(cv2.getTextSize(name, FONT, SCALE, 1)[0][0])
        if x + length > width - GAP and x > GAP:
            lines.append(_line(width))
            x = GAP
        room = lines[-1][6 : 6 + BOX, x : x + BOX]
        room[:] = box[:, : room.shape[1]]
        cv2.rectangle(lines[-1], (x, 6), (x + BOX - 1, 5 + BOX), EDGE, 1)
        cv2.putText(lines[-1], name, (x + BOX + 6, 18), FONT, SCALE, INK, 1, cv2.LINE_AA)
        x += length + 2 * GAP
    return np.vstack(lines)


def tile(image: Image, contract: Contract) -> Image:
    """Return a model's input as BGR, TILE_WIDTH wide."""
    picture: Image = image if contract.color_order == "bgr" else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    height, width = picture.shape[:2]
    size = (TILE_WIDTH, max(1, round(height * TILE_WIDTH / width)))
    how = cv2.INTER_AREA if width > TILE_WIDTH else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def fit(mask: Mask, picture: Image) -> Mask:
    """Return a mask at the height and width of a tile."""
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def _covered(picture: Image, mask: Mask, contract: Contract) -> Image:
    labels = fit(mask, picture)
    covered = overlay(picture, labels, color_table(contract))
    ignored = labels == contract.ignore_index
    covered[ignored] = stripes(*labels.shape)[ignored]
    return covered


def _framed(picture: Image) -> Image:
    """Add a gap at its right and below."""
    return cv2.copyMakeBorder(picture, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=PAPER)  # type: ignore[return-value]


def stripes(height: int, width: int) -> Image:
    """Return what stands for pixels that are not learnt from."""
    rows, columns = np.indices((height, width))
    gray = np.where((rows + columns) // 4 % 2, *STRIPES).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _line(width: int) -> Image:
    return np.full((LINE, width, 3), PAPER, np.uint8)
