"""From the numbers or colours of a mask file to class indices, 255 where there is no class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeseg.data.base import IGNORE, BadFileError, Rgb
from edgeseg.data.pictures import Stored, read_stored
from edgeseg_runtime.preprocess import Mask

MAX_CLASSES = 254
_OUTSIDE = 254  # so never a class
_SHOWN = 5  # labels named in an error


class MaskReader:
    """Reads masks that hold class numbers or class colours, whichever a file holds.

    `numbers` maps a stored number, `colors` a stored (R, G, B), to a class index or IGNORE; the number 255 is ignored
    unless `numbers` says otherwise. A palette file holds numbers. But if `palette_colors` and `colors` knows every
    colour of its palette that it uses, those count: programs that squeeze a colour picture into a palette number its
    colours as they please.
    """

    def __init__(
        self, numbers: Mapping[int, int], colors: Mapping[Rgb, int] | None = None, *, palette_colors: bool = False
    ) -> None:
        self._numbers = np.full(1 << 16, _OUTSIDE, np.uint8)
        for number, index in ({IGNORE: IGNORE} | dict(numbers)).items():
            self._numbers[number] = index
        self._colors: npt.NDArray[np.uint8] | None = None
        if colors is not None:
            # 16 MB answer every colour at once; searching a sorted list takes five times as long.
            self._colors = np.full(1 << 24, _OUTSIDE, np.uint8)
            for (red, green, blue), index in colors.items():
                self._colors[_code(red, green, blue)] = index
        self._palette_colors = palette_colors

    def __call__(self, path: Path) -> Mask:
        """Return uint8 H×W class indices. Raises BadFileError, naming labels outside the class table."""
        stored = read_stored(path)
        if stored.values.ndim == 3:
            return self._from_colors(stored, path)
        mask = self._from_palette(stored)
        return _checked(self._numbers[stored.values], stored.values, str, path) if mask is None else mask

    def _from_colors(self, stored: Stored, path: Path) -> Mask:
        values = stored.values
        if self._colors is None:
            if (values == values[..., :1]).all():  # grey, saved with three channels
                return _checked(self._numbers[values[..., 0]], values[..., 0], str, path)
            raise BadFileError(path, "holds colours, but the class table has none")
        if values.dtype != np.uint8:
            raise BadFileError(path, "holds 16-bit colours, where 8-bit ones are expected")
        wide = values.astype(np.int32)
        codes = _code(wide[..., 2], wide[..., 1], wide[..., 0])
        return _checked(self._colors[codes], codes, _color_name, path)

    def _from_palette(self, stored: Stored) -> Mask | None:
        """Read by the palette's colours; None if they are not to be trusted."""
        if self._colors is None or not self._palette_colors or stored.palette is None:
            return None
        table = np.full(256, _OUTSIDE, np.uint8)
        table[: len(stored.palette)] = [self._colors[_code(*color)] for color in stored.palette]
        table[IGNORE] = IGNORE  # Pascal VOC's void has a colour, but no class
        mask = table[stored.values]
        return None if (mask == _OUTSIDE).any() else mask


def _code(red: npt.ArrayLike, green: npt.ArrayLike, blue: npt.ArrayLike) -> npt.NDArray[np.int32]:
    return np.asarray(red, np.int32) << 16 | np.asarray(green, np.int32) << 8 | np.asarray(blue, np.int32)


def _color_name(code: int) -> str:
    return f"({code >> 16}, {code >> 8 & 255}, {code & 255})"


def _checked(mask: Mask, stored: npt.NDArray[np.generic], name: Callable[[int], str], path: Path) -> Mask:
    """Return the mask, or raise BadFileError with the labels outside the table, most frequent first."""
    outside = mask == _OUTSIDE
    if not outside.any():
        return mask
    found, counts = np.unique(stored[outside], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = ", ".join(f"{name(int(found[k]))} ({counts[k]} px)" for k in order[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise BadFileError(path, f"label outside the class table: {shown}{more}")
