"""Whether a mask may decide what is shown."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import check_frame
from edgeseg_runtime.sinks.base import Shot


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
    return None


def pixels_of(shot: Shot, classes: Collection[str], *, unclear: bool) -> npt.NDArray[np.uint8]:
    """Return 255 where the mask has one of the classes (uint8 H×W), and where it has no class at all if `unclear`."""
    names = shot.result.contract.names
    table = np.full(256, 255 if unclear else 0, np.uint8)
    table[: len(names)] = [255 if name in classes else 0 for name in names]
    return cv2.LUT(shot.result.mask, table)  # type: ignore[return-value]
