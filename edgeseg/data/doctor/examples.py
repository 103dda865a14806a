"""Which pictures the page shows, and how: small, inlined, with their class colours over them."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np

from edgeseg.data.base import IGNORE
from edgeseg.data.doctor.seen import Seen
from edgeseg.data.files import MaskFiles
from edgeseg.data.masks import OUTSIDE
from edgeseg.data.pictures import read_picture, read_stored
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.preprocess import Image, Mask

WIDTH = 320
"""Widest a picture is shown; smaller ones stay as they are."""
STRANGE = (255, 0, 255)
"""Colour of labels outside the class table, R, G, B."""
_QUALITY = 70
_OPACITY = 0.55


def class_examples(seen: Seen, index: int, count: int) -> list[int]:
    """Return pictures on which a class is easy to see: the largest share, one picture of each look-alike kept apart."""
    best: list[tuple[int, int]] = []
    for split, positions in seen.good.items():
        pixels = seen.pixels[split][:, index]
        order = np.argsort(-pixels, kind="stable")[: 8 * count]
        best += [(int(pixels[k]), positions[int(k)]) for k in order if pixels[k]]
    best.sort(key=lambda each: (-each[0], each[1]))
    # Neighbouring frames would show the same thing: every eighth of the best is another view.
    return [position for _, position in best[:: max(1, min(8, len(best) // count))]][:count]


def tiles(seen: Seen, position: int) -> list[tuple[str, str]]:
    """Return captions and data URIs: the picture, and its mask over it, as far as they can be read."""
    item = seen.looks[position].item
    try:
        image = read_picture(item.pair.image) if item.pair is not None else item.read().image
    except DatasetError:
        return []
    shown = _fit(image)
    found = [("picture", _uri(shown))]
    if (mask := _mask(seen, position)) is not None:
        small = cv2.resize(mask, shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        found.append(("mask", _uri(overlay(shown, small, seen.labels))))  # type: ignore[arg-type]
    return found


def _mask(seen: Seen, position: int) -> Mask | None:
    """Return a mask as well as it can be read: unknown labels as OUTSIDE, another size as it is."""
    item, read_truth = seen.looks[position].item, seen.collection.read_truth
    try:
        if item.pair is not None and isinstance(read_truth, MaskFiles):
            return read_truth.read.translate(read_stored(item.pair.mask))
        return item.read().mask
    except DatasetError:
        return None


def overlay(image: Image, mask: Mask, labels: Sequence[Label]) -> Image:
    """Return the picture with class colours over it; ignored pixels stay, unknown labels are STRANGE."""
    table = np.zeros((256, 3), np.uint8)
    for index, label in enumerate(labels):
        table[index] = label.color[::-1]
    table[OUTSIDE] = STRANGE[::-1]
    mixed: Image = cv2.addWeighted(table[mask], _OPACITY, image, 1 - _OPACITY, 0)  # type: ignore[assignment]
    mixed[mask == IGNORE] = image[mask == IGNORE]
    return mixed


def _fit(image: Image) -> Image:
    height, width = image.shape[:2]
    shown = min(width, WIDTH)
    size = shown, max(1, round(height * shown / width))
    return image if shown == width else cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _uri(picture: Image) -> str:
    done, data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    if not done:
        raise RuntimeError("OpenCV could not encode a WebP picture")
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
