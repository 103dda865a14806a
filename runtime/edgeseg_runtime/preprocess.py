"""From a camera frame to the model's uint8 input: the only implementation there is."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import FrameError

Image: TypeAlias = npt.NDArray[np.uint8]
"""uint8 H×W×3, channels B, G, R."""
Mask: TypeAlias = npt.NDArray[np.uint8]
"""uint8 H×W of class indices."""

INTERPOLATIONS = {"bilinear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST_EXACT}


def check_frame(frame: Image) -> None:
    """Raise FrameError unless `frame` is a non-empty uint8 H×W×3 array."""
    if not isinstance(frame, np.ndarray):  # OpenCV gives None for a picture it cannot read
        raise FrameError(f"a frame must be a uint8 H×W×3 (BGR) array, got {type(frame).__name__}")
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise FrameError(f"a frame must be uint8 H×W×3 (BGR), got {frame.dtype} {'×'.join(map(str, frame.shape))}")


def content_size(height: int, width: int, contract: Contract) -> tuple[int, int]:
    """Return the (rows, columns) of the model's input that a `height`×`width` frame fills; the rest is padding."""
    if contract.resize == "stretch":
        return contract.size
    scale = min(contract.height / height, contract.width / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def to_input(frame: Image, contract: Contract) -> Image:
    """Resize, pad and reorder a BGR frame into what the model takes: uint8 (height, width, 3).

    Raises FrameError for anything but uint8 H×W×3.
    """
    check_frame(frame)
    rows, columns = content_size(frame.shape[0], frame.shape[1], contract)
    image: npt.NDArray[np.uint8] = frame
    if image.shape[:2] != (rows, columns):
        image = cv2.resize(image, (columns, rows), interpolation=INTERPOLATIONS[contract.interpolation])  # type: ignore[assignment]
    if contract.color_order == "rgb":
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)  # type: ignore[assignment]
    if (rows, columns) != contract.size:
        padded = np.empty((contract.height, contract.width, 3), np.uint8)
        padded[:] = [round(255 * value) for value in contract.mean]
        padded[:rows, :columns] = image
        return padded
    return np.ascontiguousarray(image)


def to_input_mask(mask: Mask, contract: Contract) -> Mask:
    """Bring a ground-truth mask to the model's input size, as `to_input` brings its picture; padding is ignored.

    Labels are never blended: nearest neighbour with half-pixel centres.
    """
    rows, columns = content_size(mask.shape[0], mask.shape[1], contract)
    if mask.shape != (rows, columns):
        mask = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[assignment]
    if (rows, columns) == contract.size:
        return np.ascontiguousarray(mask)
    padded = np.full(contract.size, contract.ignore_index, np.uint8)
    padded[:rows, :columns] = mask
    return padded


def to_frame_mask(mask: Mask, contract: Contract, height: int, width: int) -> Mask:
    """Bring a mask at the model's input size back onto the frame it was made from; the inverse of `to_input`."""
    rows, columns = content_size(height, width, contract)
    content = mask[:rows, :columns]
    if content.shape == (height, width):
        return np.ascontiguousarray(content)
    return cv2.resize(content, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[return-value]
