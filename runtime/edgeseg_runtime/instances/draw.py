"""Objects as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.instances.region import paint
from edgeseg_runtime.preprocess import Image

if TYPE_CHECKING:
    from edgeseg_runtime.instances.result import InstanceResult

_COLORS = 255
"""Objects told apart on the canvas; those of which so many others lie between share a value."""
_VARIED = 0.45
"""How far a class's colour is mixed with white or black, at most, to tell its objects apart."""
_GOLDEN = 0.618034
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_objects(frame: Image, result: InstanceResult, table: Image, opacity: float) -> Image:
    """Return a new picture: each object tinted by `opacity`, outlined, and named with its class, score and id.

    What is of no object stays as it is. All objects are drawn onto one canvas first and the frame is blended with that
    once, so that a hundred take little longer than one. Surer ones lie on top.
    """
    picture = frame.copy()
    if not len(result):
        return picture
    colors = object_colors(table[result.labels, 0], result.ids or range(len(result)))
    numbers = [1 + place % _COLORS for place in range(len(result))]
    canvas = paint(np.zeros((result.height, result.width), np.uint8), result.regions, numbers)
    palette = np.zeros((256, 1, 3), np.uint8)
    palette[1 : 1 + len(colors), 0] = colors[:_COLORS]
    colored = cv2.applyColorMap(canvas, palette)
    cv2.copyTo(cv2.addWeighted(colored, opacity, frame, 1 - opacity, 0), canvas, picture)
    cv2.copyTo(colored, _rims(canvas), picture)
    _write_names(picture, result, colors)
    return picture


def object_colors(classes: npt.NDArray[np.uint8], keys: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return (n, 3) colours of objects: their classes', lighter or darker by the object's key, its id or place."""
    shift = (np.asarray(keys, np.float64) * _GOLDEN % 1 * 2 - 1)[:, None] * _VARIED
    mixed = np.where(shift > 0, classes + (255 - classes) * shift, classes * (1 + shift))
    return np.rint(mixed).astype(np.uint8)


def _rims(canvas: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return where an object's pixels lie beside others, 255, else 0."""
    window = np.ones((3, 3), np.uint8)
    uneven = cv2.compare(cv2.dilate(canvas, window), cv2.erode(canvas, window), cv2.CMP_NE)
    return cv2.bitwise_and(uneven, cv2.threshold(canvas, 0, 255, cv2.THRESH_BINARY)[1])  # type: ignore[return-value]


def _write_names(picture: Image, result: InstanceResult, colors: npt.NDArray[np.uint8]) -> None:
    """Write above each object, or at its top where there is no room, what it is."""
    scale = max(0.35, min(result.height, result.width) / 1600)
    names = result.contract.names
    for place in range(len(result) - 1, -1, -1):
        number = f" #{result.ids[place]}" if result.ids and result.ids[place] else ""
        text = f"{names[result.labels[place]]} {result.scores[place]:.2f}{number}"
        text = text.encode("ascii", "replace").decode()  # OpenCV's letters
        (wide, high), below = cv2.getTextSize(text, _FONT, scale, 1)
        left = min(max(0, int(result.boxes[place, 0])), max(0, result.width - wide))
        bottom = max(high + below, int(result.boxes[place, 1]))
        color = colors[place].tolist()
        ink = (0, 0, 0) if 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2] > 127 else (255, 255, 255)
        cv2.rectangle(picture, (left, bottom - high - below), (left + wide, bottom - 1), color, cv2.FILLED)
        cv2.putText(picture, text, (left, bottom - below), _FONT, scale, ink, 1, cv2.LINE_AA)
