"""Data sets small enough to write out, and where the real ones lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import pytest

HEIGHT, WIDTH = 12, 16


class WritePair(Protocol):
    """Writes a picture and its mask; see `write_pair`."""

    def __call__(self, image: Path, mask: Path, values: npt.ArrayLike | None = None) -> npt.NDArray[np.uint8]: ...


@pytest.fixture
def write_pair() -> WritePair:
    """Return a function that writes a 12×16 picture and a mask, and gives back the mask's values.

    Without `values` the mask holds columns of 0, 1 and 2.
    """

    def write(image: Path, mask: Path, values: npt.ArrayLike | None = None) -> npt.NDArray[np.uint8]:
        stored = np.asarray(np.arange(WIDTH) % 3 if values is None else values, np.uint8)
        if stored.ndim < 2:
            stored = np.broadcast_to(stored, (HEIGHT, WIDTH)).copy()
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(str(image.name))).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        assert cv2.imwrite(str(image), noise)
        assert cv2.imwrite(str(mask), stored)
        return stored

    return write


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures."""
    folder = Path(os.environ.get("EDGESEG_DATA", Path(__file__).parents[3] / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}; set EDGESEG_DATA")
    return folder
