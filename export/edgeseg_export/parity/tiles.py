"""Small pictures for the report, as data URIs: frame, masks, and where two masks differ."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.draw import colorize
from edgeseg_runtime.preprocess import Image, Mask

WIDTH = 320
"""Widest a picture is shown; smaller ones stay as they are."""

LOST, GAINED, OTHER = (60, 60, 255), (90, 220, 60), (40, 210, 255)
"""BGR colours of pixels where the original was right, the artifact is right, and where neither is or no one knows."""

_WEBP_QUALITY = 70
_WEBP_LOSSLESS = 101  # OpenCV's way to ask for it


def photo(frame: Image) -> str:
    """Return a frame as a data URI."""
    if frame.shape[1] > WIDTH:
        frame = cv2.resize(frame, _size(frame), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return _uri(frame, _WEBP_QUALITY)


def mask_picture(mask: Mask, table: Image) -> str:
    """Return a mask in its classes' colours (a table of `edgeseg_runtime.draw.color_table`) as a data URI."""
    small: Mask = cv2.resize(mask, _size(mask), interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[assignment]
    return _uri(colorize(small, table), _WEBP_LOSSLESS)


def difference_picture(truth: Mask | None, original: Mask, artifact: Mask, table: Image) -> str:
    """Return the original's mask in dim grey with every differing pixel in LOST, GAINED or OTHER, as a data URI."""
    differs = original != artifact
    unknown = np.zeros_like(differs)
    lost, gained = unknown, unknown
    if truth is not None:
        lost, gained = differs & (original == truth), differs & (artifact == truth)
    small: Mask = cv2.resize(original, _size(original), interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[assignment]
    grey = cv2.cvtColor(colorize(small, table), cv2.COLOR_BGR2GRAY)
    canvas = cv2.cvtColor((grey * 0.35).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    for where, colour in ((differs, OTHER), (gained, GAINED), (lost, LOST)):
        canvas[_shrink(where, canvas.shape[:2])] = colour
    return _uri(canvas, _WEBP_LOSSLESS)  # type: ignore[arg-type]


def _shrink(where: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Mark every small pixel that holds or touches a marked pixel: a lone one must be seen."""
    small = cv2.resize(where.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return cv2.dilate((small > 0).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)


def _size(picture: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Return the (width, height) to show a picture at."""
    height, width = picture.shape[:2]
    shown = min(width, WIDTH)
    return shown, max(1, round(height * shown / width))


def _uri(picture: Image, quality: int) -> str:
    done, data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a WebP picture")
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()
