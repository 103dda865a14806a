"""From the numbers or colours of a mask file to class indices, 255 where there is no class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeseg.data.base import IGNORE, BadFileError, Rgb
from edgeseg.data.pictures import Stored, read_stored
from edgeseg_runtime.preprocess import Mask

MAX_CLASSES = 254
OUTSIDE = 254
"""Value of pixels whose label the class table does not know; never a class."""
_SHOWN = 5  # labels named in an error


class MaskReader:
    """Reads masks that hold class numbers or class colours, whichever a file holds.

    `numbers` maps a stored number, `colors` a stored (R, G, B), to a class index or IGNORE; the number 255 is ignored
    unless `numbers` says otherwise. A palette file holds numbers. But if `palette_colors` and `colors` knows every
    colour of its palette that it uses, those count: programs that squeeze a colour picture into a palette number its
    colours as they please. Likewise a grey file, where all `colors` are greys and it uses no other.
    """

    def __init__(
        self, numbers: Mapping[int, int], colors: Mapping[Rgb, int] | None = None, *, palette_colors: bool = False
    ) -> None:
        self._numbers = np.full(1 << 16, OUTSIDE, np.uint8)
        for number, index in ({IGNORE: IGNORE} | dict(numbers)).items():
            self._numbers[number] = index
        self._colors: npt.NDArray[np.uint8] | None = None
        if colors is not None:
            # 16 MB answer every colour at once; searching a sorted list takes five times as long.
            self._colors = np.full(1 << 24, OUTSIDE, np.uint8)
            for (red, green, blue), index in colors.items():
                self._colors[_code(red, green, blue)] = index
        self._palette_colors = palette_colors
        self._greys = (
            colors is not None and len(colors) > 1 and all(red == green == blue for red, green, blue in colors)
        )

    def __call__(self, path: Path) -> Mask:
        """Return uint8 H×W class indices. Raises BadFileError, naming labels outside the class table."""
        stored = read_stored(path)
        values = stored.values
        if values.ndim == 3 and self._colors is None and not _is_grey(stored):
            raise BadFileError(path, "holds colours, but the class table has none")
        if values.ndim == 3 and self._colors is not None and values.dtype != np.uint8:
            raise BadFileError(path, "holds 16-bit colours, where 8-bit ones are expected")
        mask = self.translate(stored)
        if (outside := mask == OUTSIDE).any():
            raise BadFileError(path, f"label outside the class table: {self._list(stored, outside)}")
        return mask

    def translate(self, stored: Stored) -> Mask:
        """Return uint8 H×W class indices for what a file holds, OUTSIDE where the class table has no answer."""
        values = stored.values
        if values.ndim == 2:
            mask = self._from_palette(stored)
            return self._numbers[values] if mask is None else mask
        if self._colors is not None and values.dtype == np.uint8:
            return self._colors[color_codes(values)]
        if self._colors is None and _is_grey(stored):  # numbers, saved with three channels
            return self._numbers[values[..., 0]]
        return np.full(values.shape[:2], OUTSIDE, np.uint8)

    def labels(self, stored: Stored) -> tuple[npt.NDArray[np.generic], Callable[[int], str]]:
        """Return H×W what a file holds as numbers that `translate` looks up, and how to name one for people."""
        if stored.values.ndim == 2:
            return stored.values, partial(self._number_name, stored.palette or ())
        if self._colors is None and _is_grey(stored):
            return stored.values[..., 0], str
        return color_codes(stored.values), color_name

    def _number_name(self, palette: Sequence[Rgb], number: int) -> str:
        """Name a number, with its colour where it would be known but for that."""
        drawn = self._numbers[number] != OUTSIDE and number < len(palette)
        return f"{number} {palette[number]}" if drawn else str(number)

    def _list(self, stored: Stored, outside: npt.NDArray[np.bool_]) -> str:
        """Name the labels outside the table and their pixels, most frequent first."""
        labels, name = self.labels(stored)
        found, counts = np.unique(labels[outside], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        shown = ", ".join(f"{name(int(found[k]))} ({counts[k]} px)" for k in order[:_SHOWN])
        return shown + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")

    def _from_palette(self, stored: Stored) -> Mask | None:
        """Read by the palette's colours; None if they are not to be trusted."""
        if self._colors is None or not self._palette_colors:
            return None
        if stored.palette is None:
            return self._from_greys(stored)
        table = np.full(256, OUTSIDE, np.uint8)
        table[: len(stored.palette)] = [self._colors[_code(*color)] for color in stored.palette]
        table[IGNORE] = IGNORE  # Pascal VOC's void has a colour, but no class
        mask = table[stored.values]
        told = (mask != OUTSIDE) & (stored.values != IGNORE)
        if told.all() or not told.any():
            return mask if not (mask == OUTSIDE).any() else None
        # Some colours are classes and some are not. Unless numbers mean the same, they are not what the file goes by.
        return None if (self._numbers[stored.values] == mask)[told].all() else mask

    def _from_greys(self, stored: Stored) -> Mask | None:
        """Read by the levels of grey; None if there are others than the table's."""
        if self._colors is None or not self._greys or stored.values.dtype != np.uint8:
            return None
        levels = np.minimum(np.arange(256) * 255 // stored.white, 255)
        mask: Mask = self._colors[_code(levels, levels, levels)][stored.values]
        return None if (mask == OUTSIDE).any() else mask


def _code(red: npt.ArrayLike, green: npt.ArrayLike, blue: npt.ArrayLike) -> npt.NDArray[np.int32]:
    return np.asarray(red, np.int32) << 16 | np.asarray(green, np.int32) << 8 | np.asarray(blue, np.int32)


def color_codes(values: npt.NDArray[np.generic]) -> npt.NDArray[np.int32]:
    """Return one number for each pixel's colour of a stored H×W×3 BGR picture: R·2¹⁶ + G·2⁸ + B."""
    wide = values.astype(np.int32)
    return _code(wide[..., 2], wide[..., 1], wide[..., 0])


def color_name(code: int) -> str:
    """Return the colour of a code as (R, G, B)."""
    return f"({code >> 16}, {code >> 8 & 255}, {code & 255})"


def _is_grey(stored: Stored) -> bool:
    return bool((stored.values == stored.values[..., :1]).all())
