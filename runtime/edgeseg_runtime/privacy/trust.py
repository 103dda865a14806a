"""Whether a mask may decide what is shown."""

from __future__ import annotations

import math
from collections.abc import Collection

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import check_frame
from edgeseg_runtime.sinks.base import Shot

LEAST_COVERED = 0.1
"""Of an object's box: a mask that covers less has failed."""


def check_classes(classes: Collection[str], contract: Contract) -> tuple[str, ...]:
    """Return the classes. Raises ConfigError where there is none, or the model does not know one."""
    if unknown := [name for name in classes if name not in contract.names]:
        raise ConfigError(f"the model has no class {unknown[0]!r}; it has {', '.join(contract.names)}")
    if not classes:
        raise ConfigError(f"name at least one class; the model has {', '.join(contract.names)}")
    return tuple(classes)


def doubt(shot: Shot, classes: Collection[str], now: float, max_age: float) -> str | None:
    """Return why the mask must not be relied on, None if it may be.

    `now` is on the monotonic clock. A mask made from this very frame fits it, however long the model took; an earlier
    one may be `max_age` seconds old. Raises FrameError for a picture that is none.
    """
    check_frame(shot.frame.image)
    mask, contract = shot.result.mask, shot.result.contract
    if missing := [name for name in classes if name not in contract.names]:
        return f"the model has no class {missing[0]!r}"
    if shot.masked_at is None:
        return "there is no mask"
    if not shot.fresh and not 0 <= now - shot.masked_at <= max_age:
        return f"the mask is {now - shot.masked_at:.2f} s old"
    if mask.dtype != np.uint8 or mask.shape != shot.frame.image.shape[:2]:
        return f"the mask is {mask.dtype} {'×'.join(map(str, mask.shape))} and does not fit the picture"
    if isinstance(shot.result, InstanceResult) and shot.result.crowded:
        return "the model found as many objects as it may tell of, and there may be more"
    return None


def pixels_of(shot: Shot, classes: Collection[str], *, unclear: bool) -> npt.NDArray[np.uint8]:
    """Return 255 where something of the classes is (uint8 H×W), and, if `unclear`, wherever it may be.

    Of a model of classes that is where the mask has no class at all. Of one that finds objects it is where an object of
    another class lies on top, and the whole box of an object whose mask is next to nothing; where it finds no object
    there is none.
    """
    names, result = shot.result.contract.names, shot.result
    if unclear and isinstance(result, InstanceResult):
        return _objects_of(result, classes)
    table = np.full(256, 255 if unclear else 0, np.uint8)
    table[: len(names)] = [255 if name in classes else 0 for name in names]
    return cv2.LUT(result.mask, table)  # type: ignore[return-value]


def _objects_of(result: InstanceResult, classes: Collection[str]) -> npt.NDArray[np.uint8]:
    pixels = np.zeros((result.height, result.width), np.uint8)
    for label, box, region in zip(result.labels, result.boxes.tolist(), result.regions, strict=True):
        if result.contract.names[label] not in classes:
            continue
        left, top, right, bottom = box
        if region.area < LEAST_COVERED * (right - left) * (bottom - top):
            pixels[math.floor(top) : math.ceil(bottom), math.floor(left) : math.ceil(right)] = 255
        else:
            pixels[region.window][region.inside] = 255
    return pixels
