"""A page of pictures with their objects: tinted, outlined and named; crowds are striped."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.data.instances.base import InstanceSample
from edgeseg.data.instances.regions import nearest, resized
from edgeseg.data.preview import OPACITY, fitted, lay_out, striped, tile_height
from edgeseg_runtime.contract import Label
from edgeseg_runtime.instances.draw import object_colors
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.preprocess import Image

_FONT, _SCALE, _INK, _HALO = cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), (0, 0, 0)
_ROOM = 12
"""Least height of an object, in pixels of the page, that is named. Its name may be twice as wide as it is: smaller ones
would vanish below their names."""


def page(samples: Sequence[tuple[str, InstanceSample]], labels: Sequence[Label], columns: int = 4) -> Image:
    """Return uint8 H×W×3 BGR: the named samples in rows of `columns`, then the classes in them and their colours."""
    height = tile_height([sample.image for _, sample in samples])
    tiles = [(f"{name}: {_count(sample)}", draw(sample, labels, height)) for name, sample in samples]
    objects = [each for _, sample in samples for each in sample.instances]
    seen = sorted({each.label for each in objects if not each.crowd})
    legend = [(labels[index].name, labels[index].color) for index in seen]
    if any(each.crowd for each in objects):
        return lay_out(tiles, height, [*legend, ("crowds and areas to ignore", None)], columns)
    return lay_out(tiles, height, legend, columns)


def draw(sample: InstanceSample, labels: Sequence[Label], height: int) -> Image:
    """Return the picture fitted into a tile of `height` with its objects over it, small ones on top."""
    picture = fitted(sample.image, height)
    rows, columns = nearest(sample.image.shape[0], picture.shape[0]), nearest(sample.image.shape[1], picture.shape[1])
    order = sorted(sample.instances, key=lambda each: (not each.crowd, -each.region.area))
    regions = [resized(each.region, rows, columns) for each in order]
    classes = np.array([labels[each.label].color[::-1] for each in order], np.uint8).reshape(-1, 3)
    colors = object_colors(classes, range(len(order)))
    for each, region, color in zip(order, regions, colors, strict=True):
        if each.crowd:
            _stripe(picture, region)
        else:
            tint(picture, region, color, color)
    for each, region in zip(order, regions, strict=True):
        if not each.crowd:
            _name(picture, labels[each.label].name, region)
    return picture


def tint(picture: Image, region: Region, color: npt.ArrayLike, rim: npt.ArrayLike, opacity: float = OPACITY) -> None:
    """Mix a BGR colour into the pixels of an object, in place, and draw those that lie beside others in `rim`."""
    if not region.inside.size:
        return
    part = picture[region.window]
    part[region.inside] = (opacity * np.array(color) + (1 - opacity) * part[region.inside]).astype(np.uint8)
    inner = cv2.erode(np.pad(region.inside.astype(np.uint8), 1), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    part[region.inside & (inner == 0)] = rim


def _stripe(picture: Image, region: Region) -> None:
    part = picture[region.window]
    part[region.inside] = striped(part)[region.inside]


def _name(picture: Image, name: str, region: Region) -> None:
    text = name.encode("ascii", "replace").decode()  # OpenCV's letters
    wide = cv2.getTextSize(text, _FONT, _SCALE, 1)[0][0]
    if region.inside.shape[0] < _ROOM or wide > 2 * region.inside.shape[1]:
        return
    place = region.left + 2, region.top + _ROOM - 2
    for ink, width in ((_HALO, 3), (_INK, 1)):
        cv2.putText(picture, text, place, _FONT, _SCALE, ink, width, cv2.LINE_AA)


def _count(sample: InstanceSample) -> str:
    count = sum(not each.crowd for each in sample.instances)
    return f"{count or 'no'} object{'' if count == 1 else 's'}"
