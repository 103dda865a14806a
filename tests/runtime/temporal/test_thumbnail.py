from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeseg_runtime.errors import FrameError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.temporal.thumbnail import WIDTH, thumbnail


@pytest.mark.parametrize(
    ("height", "width", "rows"), [(360, 480, 120), (480, 854, 90), (1080, 1920, 90), (300, 200, 240)]
)
def test_it_has_one_width_and_the_frame_s_shape(height: int, width: int, rows: int) -> None:
    assert thumbnail(np.zeros((height, width, 3), np.uint8)).shape == (rows, WIDTH, 3)


def test_a_frame_that_is_small_already_is_copied() -> None:
    frame = np.full((40, WIDTH, 3), 7, np.uint8)
    small = thumbnail(frame)
    frame[:] = 9
    assert (small == 7).all()


@pytest.mark.parametrize("size", [(240, 320), (300, 400), (480, 854), (720, 1280)])
def test_it_looks_like_the_mean_of_all_pixels(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    frame: Image = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    small = thumbnail(frame)
    mean = cv2.resize(frame, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - mean).max() <= 6


@pytest.mark.parametrize("size", [(240, 320), (480, 854), (720, 1280), (1080, 1920)])
def test_what_is_as_large_as_a_thumbnail_s_pixel_is_seen_wherever_it_is(size: tuple[int, int]) -> None:
    side = -(-size[1] // WIDTH)
    for start in range(side + 1):
        frame = np.zeros((*size, 3), np.uint8)
        frame[100 + start : 100 + start + side, 100 + start : 100 + start + side] = 255
        assert thumbnail(frame).max() >= 40


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(FrameError, match="uint8 H×W×3"):
        thumbnail(np.zeros((20, 20), np.uint8))
