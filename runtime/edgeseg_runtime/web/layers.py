"""What a page is sent besides the picture: a small layer of classes, and who is where."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import paint
from edgeseg_runtime.instances.result import NO_CLASS, InstanceResult
from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.result import Result

Plane = TypeVar("Plane", npt.NDArray[np.uint8], npt.NDArray[np.uint16])
Sign = tuple[int, int, int, int]
"""An object's id, its class, and x and y of the middle of its box's upper side, in pixels of the camera's picture."""


def class_layer(result: Result, side: int) -> Mask:
    """Return the class of each pixel, uint8, reduced to `side` along its longer side, 255 where there is none.

    Where two objects of one class meet there is a gap between them, so that they can be told apart.
    """
    if not isinstance(result, InstanceResult):
        return reduced(result.mask, side, cv2.INTER_NEAREST)
    empty = np.zeros((result.height, result.width), np.uint16)
    drawn = paint(empty, result.regions, range(1, len(result) + 1))
    numbers = reduced(drawn, side, cv2.INTER_NEAREST)
    classes = np.concatenate([np.array([NO_CLASS], np.uint8), result.labels])[numbers]
    layer = classes.copy()
    layer[:, 1:][_meet(numbers[:, 1:], numbers[:, :-1], classes[:, 1:], classes[:, :-1])] = NO_CLASS
    layer[1:][_meet(numbers[1:], numbers[:-1], classes[1:], classes[:-1])] = NO_CLASS
    return layer


def signs(result: Result) -> tuple[Sign, ...]:
    """Return what to write at each object that has an id."""
    if not isinstance(result, InstanceResult) or not result.ids:
        return ()
    return tuple(
        (name, int(result.labels[place]), round((box[0] + box[2]) / 2), round(box[1]))
        for place, (name, box) in enumerate(zip(result.ids, result.boxes.tolist(), strict=True))
        if name
    )


def numbers_of_objects(result: Result) -> tuple[int, ...] | None:
    """Return how many objects there are of each class; None where the model only tells classes."""
    if not isinstance(result, InstanceResult):
        return None
    return tuple(np.bincount(result.labels, minlength=len(result.contract.labels)).tolist())


def reduced(picture: Plane, side: int, interpolation: int) -> Plane:
    """Return a picture or plane with its longer side `side` at most; itself if it is small enough."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=interpolation)  # type: ignore[return-value]


def _meet(
    one: npt.NDArray[np.uint16], other: npt.NDArray[np.uint16], classes: Mask, others: Mask
) -> npt.NDArray[np.bool_]:
    """Return where two neighbouring pixels are of two objects of one class."""
    met: npt.NDArray[np.bool_] = (one != other) & (classes == others) & (classes != NO_CLASS)
    return met
