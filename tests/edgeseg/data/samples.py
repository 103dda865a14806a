"""Pictures to write and masks to read back, for the tests of the data formats."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edgeseg.data.open import open_data
from edgeseg_runtime.errors import DatasetError
from edgeseg_runtime.preprocess import Mask


def write_picture(path: Path, height: int, width: int) -> Path:
    """Write a picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    assert cv2.imwrite(str(path), noise)
    return path


def write_mask(path: Path, values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Write a mask, grey or BGR, as a PNG; return its values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.asarray(values, np.uint8)
    assert cv2.imwrite(str(path), stored)
    return stored


def write(path: Path, text: str) -> Path:
    """Write a text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def masks(root: Path, split: str, format: str = "auto") -> dict[str, Mask]:
    """Open a split and return its masks by name."""
    data = open_data(str(root), split, format=format)
    return {data.name(index): data.read(index).mask for index in range(len(data))}


def refusal(root: Path, split: str, format: str = "auto") -> str:
    """Return what is said when a split is refused."""
    with pytest.raises(DatasetError) as caught:
        open_data(str(root), split, format=format)
    return str(caught.value)


def rows(*lines: str, **values: int) -> Mask:
    """Draw a mask with letters: a digit is itself, `.` is 0, `x` is 255, other letters are given."""
    table = {".": 0, "x": 255} | {str(digit): digit for digit in range(10)} | values
    return np.array([[table[letter] for letter in line] for line in lines], np.uint8)
